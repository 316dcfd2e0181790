//! Commands that others see as one: the queue of EXEC, and of callers that send all commands at once.
//!
//! The shards of all keys of the queue are locked in their order before the first command runs.  A command that needs more
//! than its keys makes the whole queue need the gate alone.

use bytes::Bytes;
use quartet_protocol::resp::{Arguments, OwnedArguments};

use super::batch::BatchExecutor;
use super::lookup;
use crate::clock;
use crate::command::{
    Call, Client, Flags, Flow, Handler, LongRequest, NotLocked, PlacedKey, Row, Services, database_number,
};
use crate::delivery::Effects;
use crate::refusal::Refusal;
use crate::store::{HeldForLong, ShardId};

/// Memory that a queued argument takes besides its bytes, the command's share included.
const ARGUMENT_OVERHEAD: usize = 32;

/// The flags of commands that need more than their keys, or may find out that they do.
const NEEDS_STORE: Flags = Flags::SELF_LOCKING.union(Flags::RUNS_SCRIPT);

/// Commands to run as one.
#[derive(Default)]
pub struct Queue {
    /// By row id.
    commands: Vec<(usize, OwnedArguments)>,
    needs_exclusive: bool,
    needs_memory: bool,
    is_journaled: bool,
    bytes: usize,
}

impl Queue {
    /// Adds a command.  `buffer` is what its long arguments may be kept in without a copy.
    pub fn push(&mut self, row: &Row, arguments: Arguments<'_>, buffer: Option<&Bytes>) {
        let flags = row.command.flags;
        self.needs_exclusive |= flags.intersects(NEEDS_STORE) || row.needs_store(arguments);
        self.needs_memory |= flags.contains(Flags::DENYOOM);
        self.is_journaled |= row.command.group.facts().is_journaled && !flags.contains(Flags::RUNS_SCRIPT);
        self.bytes += arguments.total_bytes() + arguments.len() * ARGUMENT_OVERHEAD;
        self.commands.push((row.id, arguments.to_owned_from(buffer)));
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// About how many bytes of memory the queue takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a command needs the gate alone.
    pub fn needs_exclusive(&self) -> bool {
        self.needs_exclusive
    }

    /// Whether a command may need memory, so that the queue is refused when there is none.
    pub fn needs_memory(&self) -> bool {
        self.needs_memory
    }

    /// Whether one of the commands publishes to a stream that has to write first what it has.
    pub fn has_to_wait(&self, services: &Services, effects: &mut Effects) -> bool {
        let is_stored = |id: usize| services.commands.rows()[id].command.may_be_stored;
        let mut stored = self.commands.iter().filter(|(id, _)| is_stored(*id));
        stored.any(|(_, arguments)| services.fan_out.has_to_wait(arguments.as_arguments().at(1), effects))
    }

    /// Locks the shards of all keys of the queue, and `shards` too, unless `call` has the store alone.
    ///
    /// # Errors
    /// If one of them is held for long; the queue cannot run.
    pub fn lock(&self, call: &mut Call<'_, '_>, mut shards: Vec<ShardId>) -> Result<(), HeldForLong> {
        if call.keyspace.is_exclusive() {
            return Ok(());
        }
        let store = call.keyspace.store();
        let mut keys: Vec<PlacedKey> = Vec::new();
        let mut database = call.caller.database;
        for (id, arguments) in &self.commands {
            let command = call.services.commands.rows()[*id].command;
            let arguments = arguments.as_arguments();
            for position in command.keys.positions(arguments) {
                let key = store.key(arguments.at(position));
                shards.push(store.shard_of(database, key.hash));
                keys.push((database, key.bytes.into()));
            }
            if command.flags.contains(Flags::SELECTS_DATABASE)
                && let Ok(selected) = database_number(store, arguments.at(1))
            {
                database = selected;
            }
        }
        call.keyspace.lock_many_unless_held(&mut shards)?;
        if !call.services.key_waiters.have_further_keys() {
            return Ok(());
        }
        match call.services.key_waiters.lock_further(call.keyspace, &shards, &keys) {
            // Of too many further keys some are locked once the queue has run, by `KeyWaiters::serve`.
            Ok(()) | Err(NotLocked::TooMany) => Ok(()),
            Err(NotLocked::Held(reason)) => Err(reason),
        }
    }

    /// Runs the queue, whose shards are locked, inside `call`, and writes an array of the replies.  Time stands still.
    /// After a crash everything that its commands have appended to the journal is there, or nothing.
    ///
    /// Once the replies of a connection are beyond the hard limit of `client-output-buffer-limit`, they are dropped, the rest of the
    /// queue runs without, and the connection ends, as in Redis.
    pub fn run(&self, call: &mut Call<'_, '_>, mut client: Option<&mut Client>) {
        let services = call.services;
        let groups = services.journal.groups();
        let _turn = (self.is_journaled && !call.keyspace.is_exclusive()).then(|| groups.turn());
        let _group = self.is_journaled.then(|| groups.open());
        let limit = client.as_ref().map_or(0, |_| call.settings.client_output_buffer_limit.normal.hard);
        let (before, length) = (call.output.mark(), call.output.len());
        let mut is_over_limit = false;
        call.output.array(self.commands.len());
        let may_block = std::mem::replace(&mut call.caller.may_block, false);
        let mut ticks = clock::ticks();
        for (id, arguments) in &self.commands {
            call.caller.request =
                arguments.shared().map(|buffer| LongRequest { buffer: buffer.clone(), copied: Vec::new() });
            let row = &call.services.commands.rows()[*id];
            call.run_nested(row, client.as_deref_mut(), arguments.as_arguments(), &mut ticks);
            is_over_limit |= limit > 0 && call.output.len() - length > limit;
            if is_over_limit {
                call.output.truncate(before);
                call.continuation.forget_held(length);
            }
        }
        if is_over_limit {
            tracing::info!(address = %call.caller.address, reason = "output buffer limit reached", "closing");
            call.continuation.flow = Flow::Close;
        }
        call.caller.may_block = may_block;
        call.caller.request = None;
        // Messages stay outside the array: they come at the end of the batch.
        call.caller.has_own_message = false;
    }
}

/// The refusal of a transaction that did not begin.
pub fn discarded(reason: &Refusal) -> Refusal {
    let reason = reason.text().strip_prefix(b"ERR ").unwrap_or(reason.text());
    Refusal::new([b"EXECABORT Transaction discarded because of: ", reason].concat())
}

impl<'s> BatchExecutor<'_, 's> {
    /// See [`Executor::run_transaction`](super::Executor::run_transaction).
    pub(super) fn run_transaction(&mut self, requests: &[OwnedArguments]) {
        if let Err(reason) = self.gate {
            return self.hold_up_queue(reason);
        }
        let mut queue = Queue::default();
        for request in requests {
            match self.queueable(request.as_arguments()) {
                Ok(row) => queue.push(row, request.as_arguments(), request.shared()),
                Err(refusal) => return self.refuse(&discarded(&refusal)),
            }
        }
        if queue.needs_memory && !self.has_room() {
            return self.refuse(&discarded(&Refusal::OUT_OF_MEMORY));
        }
        if queue.needs_exclusive {
            self.exclusively(|batch| batch.run_queue(&queue));
        } else {
            self.run_queue(&queue);
            self.unlock();
            if self.call.keyspace.has_ready() {
                self.serve_waiters();
            }
        }
    }

    /// The row of a request that may be queued for a caller that is no connection.
    fn queueable(&self, arguments: Arguments<'_>) -> Result<&'s Row, Refusal> {
        let row = lookup::resolve(self.call.services, arguments)?;
        match row.command.handler {
            Handler::Session(_) => Err(Refusal::NEEDS_CONNECTION),
            Handler::Data(_) if row.command.flags.contains(Flags::NO_MULTI) => {
                Err(Refusal::NOT_IN_TRANSACTIONS)
            }
            Handler::Data(_) => Ok(row),
        }
    }

    /// Runs a queue in the name of EXEC, which counts as called.
    fn run_queue(&mut self, queue: &Queue) {
        self.call.row = self.call.services.commands.queue_runner();
        match queue.lock(&mut self.call, Vec::new()) {
            Ok(()) => {
                self.metrics.command(self.call.row.id).calls.add(1);
                queue.run(&mut self.call, None);
            }
            Err(reason) => self.hold_up_queue(reason),
        }
    }

    /// Does not run a queue, since something that it needs is held for long: it is refused, or run again later.
    fn hold_up_queue(&mut self, reason: HeldForLong) {
        match reason {
            HeldForLong::ByScript => self.refuse(&discarded(&self.call.services.busy())),
            HeldForLong::ByCommand { seen } => self.call.continuation.flow = Flow::HeldUp { seen },
        }
    }
}
