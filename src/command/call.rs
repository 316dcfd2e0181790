//! The context a command runs in.

use bytes::Bytes;
use quartet_protocol::resp::{Arguments, Output};

use super::blocked::Blocked;
use super::{Awaited, Continuation, Encoder, Flow, HeldReply, Promise, Row, Services};
use crate::client::Client;
use crate::clock::Now;
use crate::delivery::Effects;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::Snapshot;
use crate::store::{AccessContext, INLINE_VALUE_MAX, Key, Keyspace, Lifetime};
use crate::wait::{Barrier, Ticket};

/// One request while it is being done.
pub struct Call<'c, 's: 'c> {
    /// The request; argument 0 is the command's name.
    pub arguments: Arguments<'c>,
    /// The command.
    pub row: &'s Row,
    /// Who asked.
    pub client: &'c mut Client,
    /// The data, with the shards of the declared keys locked.
    pub keyspace: &'c mut Keyspace<'s>,
    /// Where the reply goes.
    pub output: &'c mut Output,
    /// What is to happen once the locks are released.
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

impl<'c> Call<'c, '_> {
    /// The argument at `position` as a key.
    pub fn key(&self, position: usize) -> Key<'c> {
        let bytes = self.arguments.at(position);
        match self.first_hash {
            Some(hash) if position == usize::from(self.row.command.keys.first) => Key { bytes, hash },
            _ => self.keyspace.store().key(bytes),
        }
    }

    /// The argument at `position` to be kept without a copy, if it is long and came alone.
    pub fn kept_argument(&self, position: usize) -> Option<Bytes> {
        self.client.request.as_ref()?.kept(self.arguments.at(position))
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

    /// Runs the handler; a refusal replaces what it had written.  False if it refused.
    pub fn run(&mut self) -> bool {
        let before = self.output.mark();
        let result = (self.row.command.handler)(self);
        if !self.services.monitors.is_empty() {
            self.show_to_monitors();
        }
        let is_done = match result {
            Ok(()) => true,
            Err(refusal) => {
                let refusal = self.row.explained(refusal);
                self.output.truncate(before);
                self.output.error(refusal.text());
                self.services.metrics.thread(self.slot).errors.count(refusal.code());
                false
            }
        };
        if !self.continuation.held.is_empty() {
            self.continuation.close_held(self.output.len());
        }
        is_done
    }

    /// The time of this command.
    pub fn now(&self) -> Now {
        self.keyspace.now()
    }

    /// Whether the command may keep its client waiting: not within EXEC, where nothing may come in between.
    pub fn may_wait(&self) -> bool {
        !self.client.in_exec
    }

    /// Leaves the command without a reply until its ticket is answered.  The client's further requests wait behind it.
    pub fn block<A: Awaited>(&mut self, ticket: Ticket<A>, encoder: impl Encoder<A>) {
        debug_assert!(self.may_wait());
        self.continuation.blocked = Some(Box::new(Blocked { ticket, encoder }));
        self.continuation.flow = Flow::Wait;
    }

    /// Has the reply, which must not be written yet, wait until what it promises is on the disk.  Commands behind it
    /// run on, and their replies follow it.
    pub fn delay_reply(&mut self, barrier: Barrier) {
        self.continuation.held.push(HeldReply::opened(self.output, barrier));
    }

    /// Has a reply that waits for the disk be looked at again once the disk has it; see [`Promise`].
    pub fn promise<P: Promise + 'static>(&mut self, promise: impl FnOnce() -> P) {
        if let Some(held) = self.continuation.held.last_mut().filter(|held| held.is_open()) {
            held.promise = Some(Box::new(promise()));
        }
    }
}
