//! The argument of a handler: the data half of a request, and with it the client if the row asks for it.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use quartet_protocol::resp::{Arguments, Output};

use super::blocked::Blocked;
use super::{
    Awaited, Caller, Client, Continuation, Encoder, Flow, Handler, HeldReply, Promise, Row, Services,
    SessionHandler,
};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::Snapshot;
use crate::store::{
    AccessContext, HeldForLong, INLINE_VALUE_MAX, Key, Keyspace, Lifetime, Look, Looked, Shard, ShardId,
};
use crate::wait::{Barrier, Ticket};

/// One request while it runs, without its connection, which there may not be.
pub struct Call<'c, 's: 'c> {
    /// The request; argument 0 is the command's name.
    pub arguments: Arguments<'c>,
    /// The command.
    pub row: &'s Row,
    /// Whom it runs for.
    pub caller: &'c mut Caller,
    /// The data, with the shards of the declared keys locked.
    pub keyspace: &'c mut Keyspace<'s>,
    /// Where the reply goes.
    pub output: &'c mut Output,
    /// Work to do once the locks are released.
    pub effects: &'c mut Effects,
    /// What becomes of the connection.
    pub continuation: &'c mut Continuation,
    /// The thread's source of randomness.
    pub random: &'c mut Random,
    /// What all threads share.
    pub services: &'s Services,
    /// The settings, as they were at the end of the command before.
    pub settings: &'c mut Snapshot,
    /// The hash of the first declared key, if it was computed ahead of time.
    pub first_hash: Option<u64>,
    /// The number of the thread.
    pub slot: usize,
}

/// A request of a connection, for the few commands that work on the connection itself.
pub struct SessionCall<'c, 's: 'c> {
    /// The data half, as all commands have it.
    pub data: Call<'c, 's>,
    /// The connection's client.
    pub client: &'c mut Client,
}

impl<'c, 's> Deref for SessionCall<'c, 's> {
    type Target = Call<'c, 's>;

    fn deref(&self) -> &Call<'c, 's> {
        &self.data
    }
}

impl<'c, 's> DerefMut for SessionCall<'c, 's> {
    fn deref_mut(&mut self) -> &mut Call<'c, 's> {
        &mut self.data
    }
}

impl<'s> Call<'_, 's> {
    /// The same call for a shorter time, to make another call from it.
    pub(super) fn reborrow(&mut self) -> Call<'_, 's> {
        Call {
            arguments: self.arguments,
            row: self.row,
            caller: self.caller,
            keyspace: self.keyspace,
            output: self.output,
            effects: self.effects,
            continuation: self.continuation,
            settings: self.settings,
            random: self.random,
            services: self.services,
            first_hash: self.first_hash,
            slot: self.slot,
        }
    }
}

impl<'c> Call<'c, '_> {
    /// The argument at `position` as a key.
    pub fn key(&self, position: usize) -> Key<'c> {
        let bytes = self.arguments.at(position);
        match self.first_hash {
            Some(hash) if position == usize::from(self.row.command.keys.first) => Key { bytes, hash },
            _ => self.keyspace.store().key(bytes),
        }
    }

    /// Ends a command that locks shards itself and has met one that is held for long: it has done nothing, and is run again later,
    /// whatever it returns.
    ///
    /// # Errors
    /// If a script holds it, which may have no end.
    pub fn hold_up(&mut self, reason: HeldForLong) -> Result<(), Refusal> {
        match reason {
            HeldForLong::ByScript => Err(self.services.busy()),
            HeldForLong::ByCommand { seen } => {
                self.continuation.flow = Flow::HeldUp { seen };
                self.services.metrics.thread(self.slot).command(self.row.id).calls.take_back();
                Ok(())
            }
        }
    }

    /// What a look at a shard finds; none if it is held for long.  Then the command is held up, and the look is its [`Call::left_look`] when it
    /// is run again.  Nothing may be locked.
    ///
    /// # Errors
    /// If a script holds it that runs for long.
    pub fn look<T: Send + Sync + 'static>(
        &mut self,
        id: ShardId,
        look: impl FnOnce(&mut Shard, &AccessContext) -> T + Send + 'static,
    ) -> Result<Option<T>, Refusal> {
        let looked = self.keyspace.look(id, look);
        self.found(looked)
    }

    /// What the look has found that this command left when it was held up, as from [`Call::look`]; none of all if it has left none.
    ///
    /// # Errors
    /// As those of [`Call::look`].
    pub fn left_look<T: Send + Sync + 'static>(&mut self) -> Option<Result<Option<T>, Refusal>> {
        let look = self.continuation.so_far.take()?.downcast::<Look<T>>().ok()?;
        let looked = self.keyspace.finish_look(*look);
        Some(self.found(looked))
    }

    fn found<T: Send + Sync + 'static>(&mut self, looked: Looked<T>) -> Result<Option<T>, Refusal> {
        let reason = match looked {
            Looked::Found(found) => return Ok(Some(found)),
            Looked::Held(reason) => reason,
            Looked::Left(look) => {
                let reason = look.reason();
                self.continuation.so_far = Some(Box::new(look));
                reason
            }
        };
        self.hold_up(reason).map(|()| None)
    }

    /// The argument at `position` to be kept without a copy, if it is long and came alone.
    pub fn kept_argument(&self, position: usize) -> Option<Bytes> {
        self.caller.request.as_ref()?.kept(self.arguments.at(position))
    }

    /// Refuses a value of so many bytes if it is longer than values may be.
    ///
    /// # Errors
    /// If it is.
    pub fn require_value_size(&self, length: usize) -> Result<(), Refusal> {
        if length > self.settings.max_value_size {
            return Err(Refusal::VALUE_TOO_LONG);
        }
        Ok(())
    }

    /// Writes the argument at `position` as the string of a key, whatever the key held.
    ///
    /// # Errors
    /// If it is longer than values may be; nothing is written then.
    // Inlined, or it costs a SET as many instructions to call it as it takes to find the key.
    #[inline(always)]
    pub fn write_string(
        &mut self,
        key: &Key<'_>,
        position: usize,
        lifetime: Lifetime,
        access: &AccessContext,
    ) -> Result<(), Refusal> {
        let value = self.arguments.at(position);
        self.require_value_size(value.len())?;
        if value.len() > INLINE_VALUE_MAX {
            self.write_long_string(key, position, lifetime, access);
        } else {
            self.keyspace.shard(key).set(key, value, lifetime, access);
        }
        Ok(())
    }

    /// The same of a value that is shared rather than copied, if it came in a buffer of its own.
    #[cold]
    fn write_long_string(
        &mut self,
        key: &Key<'_>,
        position: usize,
        lifetime: Lifetime,
        access: &AccessContext,
    ) {
        let value = self.arguments.at(position);
        match self.kept_argument(position) {
            Some(kept) => self.keyspace.shard(key).set_shared(key, kept, lifetime, access),
            None => self.keyspace.shard(key).set(key, value, lifetime, access),
        }
    }

    /// Runs the handler; a refusal replaces what the handler had written.  False if it refused.
    #[inline]
    pub(super) fn run(&mut self, client: Option<&mut Client>) -> bool {
        let before = self.output.mark();
        let result = match self.row.command.handler {
            Handler::Data(handler) => handler(self),
            Handler::Session(handler) => self.run_session(handler, client),
        };
        let is_held_up = self.continuation.flow.is_held_up();
        if !self.services.monitors.is_empty() && !is_held_up {
            self.show_to_monitors();
        }
        let is_done = match result {
            Ok(()) => true,
            Err(_) if is_held_up => {
                self.output.truncate(before);
                true
            }
            Err(refusal) => {
                self.output.truncate(before);
                self.refuse(&self.row.explained(refusal));
                false
            }
        };
        if !self.continuation.held.is_empty() {
            self.continuation.close_held(self.output.len());
        }
        is_done
    }

    #[inline(never)]
    fn run_session(&mut self, handler: SessionHandler, client: Option<&mut Client>) -> Result<(), Refusal> {
        let Some(client) = client else { return Err(Refusal::NEEDS_CONNECTION) };
        let result = handler(&mut SessionCall { data: self.reborrow(), client: &mut *client });
        self.caller.state = client.state();
        result
    }

    /// Writes an error reply and counts it.
    #[cold]
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.output.error(refusal.text());
        self.services.metrics.thread(self.slot).errors.count(refusal.code());
    }

    /// The time of this command.
    pub fn now(&self) -> Now {
        self.keyspace.now()
    }

    /// The name that the caller's connection has given itself; empty if it has not.
    pub fn client_name(&self) -> String {
        let client = self.caller.connection.and_then(|id| self.services.clients.get(id));
        client.map_or_else(String::new, |client| client.identity().name)
    }

    /// Whether the command may keep its caller waiting.
    pub fn may_wait(&self) -> bool {
        self.caller.may_block
    }

    /// Leaves the command without a reply until its ticket is answered.  Later requests of the client wait.
    pub fn block<A: Awaited>(&mut self, ticket: Ticket<A>, encoder: impl Encoder<A>) {
        debug_assert!(self.may_wait());
        self.continuation.blocked = Some(Box::new(Blocked { ticket, encoder }));
        self.continuation.flow = Flow::Wait;
    }

    /// Delays the reply, which must not be written yet, until its records are on the disk.  Later commands run on, and their
    /// replies follow it.
    pub fn delay_reply(&mut self, barrier: Barrier) {
        self.continuation.held.push(HeldReply::opened(self.output, barrier));
    }

    /// Has a delayed reply looked at again once the disk has its records; see [`Promise`].
    pub fn promise<P: Promise + 'static>(&mut self, promise: impl FnOnce() -> P) {
        if let Some(held) = self.continuation.held.last_mut().filter(|held| held.is_open()) {
            held.promise = Some(Box::new(promise()));
        }
    }
}
