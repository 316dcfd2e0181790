//! The commands of one batch: the gate is entered, they run one after the other, effects are delivered.

use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::{Arguments, Output};

use super::lookup::{Found, check_arguments};
use super::{access, instrumentation, transaction, unknown};
use crate::clock;
use crate::command::{Call, Caller, CallerState, Client, Continuation, Flags, Flow, Replies, Row, Services};
use crate::delivery::Effects;
use crate::metrics::ThreadMetrics;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::Snapshot;
use crate::store::eviction;
use crate::store::{Entered, Keyspace, ShardId};

/// The flags of commands before which memory is looked after: all that may take or change some.
const MAY_NEED_MEMORY: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::RUNS_QUEUE);

/// See the module's text.
pub(super) struct BatchExecutor<'t, 's> {
    pub(super) services: &'s Services,
    slot: usize,
    pub(super) metrics: &'s ThreadMetrics,
    keyspace: Keyspace<'s>,
    gate: Option<Entered<'s>>,
    random: &'t mut Random,
    effects: &'t mut Effects,
    continuation: &'t mut Continuation,
    settings: &'t mut Snapshot,
    last_row: Option<usize>,
    shard_ids: Vec<ShardId>,
    /// The processor's ticks at the end of the last command.
    ticks: u64,
}

impl<'t, 's> BatchExecutor<'t, 's> {
    /// Enters the gate and reads the time.
    pub(super) fn new(
        services: &'s Services,
        slot: usize,
        caller: &Caller,
        random: &'t mut Random,
        effects: &'t mut Effects,
        continuation: &'t mut Continuation,
        settings: &'t mut Snapshot,
    ) -> BatchExecutor<'t, 's> {
        continuation.flow = Flow::Continue;
        settings.refresh(&services.settings);
        // The time is read inside: entering may have taken long.
        let gate = services.store.gate().enter(slot);
        let now = services.clock.now();
        let access = access(settings, now, caller.leaves_traces);
        BatchExecutor {
            services,
            slot,
            metrics: services.metrics.thread(slot),
            keyspace: Keyspace::new(&services.store, now, access),
            gate: Some(gate),
            random,
            effects,
            continuation,
            settings,
            last_row: None,
            shard_ids: Vec::new(),
            ticks: clock::ticks(),
        }
    }

    /// What becomes of the connection so far.
    pub(super) fn flow(&self) -> Flow {
        self.continuation.flow
    }

    /// Runs one request and writes its reply.
    #[inline]
    pub(super) fn run(
        &mut self,
        caller: &mut Caller,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        found: &Found<'s>,
        output: &mut Output,
    ) {
        match found.row {
            Some(row)
                if caller.state.is_empty()
                    && row.takes(arguments.len())
                    && !(row.command.flags.intersects(MAY_NEED_MEMORY) && self.settings.maxmemory != 0) =>
            {
                self.execute(row, caller, client, arguments, found, output);
            }
            _ => self.run_checked(caller, client, arguments, found, output),
        }
    }

    /// Runs a request that may not simply run.
    #[inline(never)]
    fn run_checked(
        &mut self,
        caller: &mut Caller,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        found: &Found<'s>,
        output: &mut Output,
    ) {
        match client {
            Some(client) if client.replies != Replies::On => {
                self.run_silent(caller, client, arguments, found, output);
            }
            client => self.run_heard(caller, client, arguments, found, output),
        }
    }

    /// Runs a request whose reply CLIENT REPLY has switched off.
    fn run_silent(
        &mut self,
        caller: &mut Caller,
        client: &mut Client,
        arguments: Arguments<'_>,
        found: &Found<'s>,
        output: &mut Output,
    ) {
        let (before, length) = (output.mark(), output.len());
        if client.replies == Replies::SkipNext {
            client.replies = Replies::SkipThis;
        }
        self.run_heard(caller, Some(client), arguments, found, output);
        match client.replies {
            Replies::On => {}
            Replies::Off | Replies::SkipNext => {
                output.truncate(before);
                self.continuation.forget_held(length);
            }
            // The reply to skip has not come yet.
            Replies::SkipThis if self.continuation.flow == Flow::Wait => {}
            Replies::SkipThis => {
                client.replies = Replies::On;
                output.truncate(before);
                self.continuation.forget_held(length);
            }
        }
        caller.state = client.state();
    }

    /// Runs, queues or refuses a request.
    fn run_heard(
        &mut self,
        caller: &mut Caller,
        mut client: Option<&mut Client>,
        arguments: Arguments<'_>,
        found: &Found<'s>,
        output: &mut Output,
    ) {
        let Some(row) = found.row else {
            let name = arguments.at(0);
            let is_http = name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
            if is_http && client.is_some() {
                // Somebody made a browser or a proxy send HTTP here: nothing of it may be obeyed.
                self.continuation.flow = Flow::Close;
            }
            return self.refuse_request(None, unknown::command(arguments), caller, client, output);
        };
        if let Err(refusal) = self.check(row, caller, client.as_deref(), arguments) {
            self.metrics.command(row.id).rejected.add(1);
            return self.refuse_request(Some(row), refusal, caller, client, output);
        }
        let is_queued = caller.state.contains(CallerState::IN_TRANSACTION)
            && !row.command.flags.contains(Flags::NO_QUEUE);
        if is_queued
            && let Some(client) = &mut client
            && let Some(transaction) = &mut client.transaction
        {
            let buffer = caller.request.as_ref().map(|request| &request.buffer);
            transaction.queue.push(row, arguments, buffer);
            client.shared.queued.store(transaction.queue.len() as u32 + 1, Relaxed);
            return output.simple("QUEUED");
        }
        self.execute(row, caller, client.as_deref_mut(), arguments, found, output);
        if std::mem::take(&mut caller.has_own_message)
            && let Some(client) = client.filter(|client| client.replies == Replies::On)
        {
            // The message has its place behind the reply to the command that has published it.
            client.shared.outbox.drain_into(output);
        }
    }

    /// Whether a command may run or be queued.
    fn check(
        &mut self,
        row: &Row,
        caller: &Caller,
        client: Option<&Client>,
        arguments: Arguments<'_>,
    ) -> Result<(), Refusal> {
        let flags = row.command.flags;
        check_arguments(row, arguments)?;
        if caller.state.contains(CallerState::UNAUTHENTICATED) && !flags.contains(Flags::NO_AUTH) {
            return Err(Refusal::NO_AUTHENTICATION);
        }
        let in_transaction = caller.state.contains(CallerState::IN_TRANSACTION);
        if in_transaction && flags.contains(Flags::NO_MULTI) {
            return Err(Refusal::NOT_IN_TRANSACTIONS);
        }
        // Commands that read or free are queued and run without memory: queues have a limit of their own.
        if (in_transaction || flags.intersects(MAY_NEED_MEMORY)) && !self.has_room() {
            let transaction = client.and_then(|client| client.transaction.as_deref());
            let is_refused = match flags.contains(Flags::RUNS_QUEUE) {
                true => transaction.is_some_and(|transaction| transaction.queue.needs_memory()),
                false => flags.contains(Flags::DENYOOM),
            };
            if is_refused {
                return Err(Refusal::OUT_OF_MEMORY);
            }
        }
        if caller.is_limited_to_subscribing() && !flags.contains(Flags::WHILE_SUBSCRIBED) {
            let name = &row.name;
            return Err(Refusal::new(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context"
            )));
        }
        Ok(())
    }

    /// Refuses a request.  A transaction that is being queued will be aborted at its EXEC, and ends if EXEC itself is
    /// refused.
    fn refuse_request(
        &mut self,
        row: Option<&Row>,
        mut refusal: Refusal,
        caller: &mut Caller,
        client: Option<&mut Client>,
        output: &mut Output,
    ) {
        if let Some(client) = client {
            if row.is_some_and(|row| row.command.flags.contains(Flags::RUNS_QUEUE)) {
                client.forget_transaction(&mut self.keyspace);
                refusal = transaction::discarded(&refusal);
            } else if client.in_transaction()
                && let Some(transaction) = &mut client.transaction
            {
                transaction.aborted = true;
            }
            caller.state = client.state();
        }
        self.refuse(&refusal, output);
    }

    /// Counts a refusal, and writes it unless the connection ends.
    pub(super) fn refuse(&mut self, refusal: &Refusal, output: &mut Output) {
        self.metrics.errors.count(refusal.code());
        if self.continuation.flow == Flow::Continue {
            output.error(refusal.text());
        }
    }

    /// Evicts while the store is over its limit; false if it is and nothing could be evicted.
    pub(super) fn has_room(&mut self) -> bool {
        let services = self.services;
        let limit = self.settings.maxmemory;
        if limit == 0 {
            return true;
        }
        let delta = self.keyspace.take_memory_delta();
        services.add_memory(delta);
        if services.store.evictable_memory() <= limit {
            return true;
        }
        eviction::make_room(&services.store, self.settings, self.random, &self.keyspace.access)
    }

    fn execute(
        &mut self,
        row: &'s Row,
        caller: &mut Caller,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        found: &Found<'s>,
        output: &mut Output,
    ) {
        if row.command.flags.intersects(Flags::EXCLUSIVE.union(Flags::RUNS_QUEUE))
            && needs_exclusive(row, client.as_deref())
        {
            return self.exclusively(caller, |batch, caller| {
                batch.run_timed(row, caller, client, arguments, None, output);
            });
        }
        self.keyspace.database = caller.database;
        let first_hash = self.lock(row, caller, arguments, found);
        self.run_timed(row, caller, client, arguments, first_hash, output);
        self.keyspace.unlock();
    }

    /// Calls `run` while no other thread is inside the gate.
    pub(super) fn exclusively(&mut self, caller: &mut Caller, run: impl FnOnce(&mut Self, &mut Caller)) {
        self.gate = None;
        let exclusive = self.services.store.gate().enter_exclusive();
        self.keyspace.set_now(self.services.clock.now());
        self.keyspace.database = caller.database;
        self.keyspace.set_exclusive(true);
        run(self, caller);
        self.keyspace.unlock();
        self.keyspace.set_exclusive(false);
        drop(exclusive);
        self.gate = Some(self.services.store.gate().enter(self.slot));
        self.keyspace.set_now(self.services.clock.now());
    }

    /// Locks the shards of the declared keys and returns the first key's hash.
    fn lock(
        &mut self,
        row: &Row,
        caller: &Caller,
        arguments: Arguments<'_>,
        found: &Found<'_>,
    ) -> Option<u64> {
        let keys = row.command.keys;
        let store = &self.services.store;
        let hash = found.key.as_ref()?.hash;
        debug_assert_eq!(hash, store.key(arguments.at(usize::from(keys.first))).hash);
        if i32::from(keys.last) == i32::from(keys.first) {
            // Not the shard that was looked up: an earlier command of the batch may have changed the database.
            self.keyspace.lock_one(store.shard_of(caller.database, hash));
            return Some(hash);
        }
        self.shard_ids.clear();
        for position in keys.positions(arguments) {
            let hash = store.key(arguments.at(position)).hash;
            self.shard_ids.push(store.shard_of(caller.database, hash));
        }
        self.keyspace.lock_many(&mut self.shard_ids);
        Some(hash)
    }

    fn run_timed(
        &mut self,
        row: &'s Row,
        caller: &mut Caller,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        first_hash: Option<u64>,
        output: &mut Output,
    ) {
        self.last_row = Some(row.id);
        let mut ticks = self.ticks;
        let mut call = self.call(row, caller, arguments, first_hash, output);
        let ended = instrumentation::run(&mut call, client, &mut ticks).ended;
        self.ticks = ticks;
        if let Some(now) = ended
            && !row.command.flags.intersects(instrumentation::QUICK)
        {
            self.keyspace.set_now(now);
            // The command may have been CONFIG SET or CLIENT NO-TOUCH.
            self.keyspace.access = access(self.settings, now, caller.leaves_traces);
        }
    }

    /// A call of this batch.
    #[inline(always)]
    pub(super) fn call<'c>(
        &'c mut self,
        row: &'s Row,
        caller: &'c mut Caller,
        arguments: Arguments<'c>,
        first_hash: Option<u64>,
        output: &'c mut Output,
    ) -> Call<'c, 's> {
        Call {
            arguments,
            row,
            caller,
            keyspace: &mut self.keyspace,
            output,
            effects: self.effects,
            continuation: self.continuation,
            settings: self.settings,
            random: self.random,
            services: self.services,
            first_hash,
            slot: self.slot,
        }
    }

    /// Ends the transaction of a client that has gone, and all that it holds in services.
    pub(super) fn disconnect(&mut self, client: &mut Client) {
        client.forget_transaction(&mut self.keyspace);
        let now = self.keyspace.now();
        for service in self.services.rows {
            (service.disconnect)(self.services, client, now, self.effects);
        }
    }

    /// Leaves the gate, adds up the figures, and wakes the clients that were sent something.
    pub(super) fn finish(mut self, caller: &Caller, client: Option<&Client>) -> Flow {
        self.keyspace.unlock();
        self.services.settle(self.slot, &mut self.keyspace);
        self.gate = None;
        if let Some(client) = client {
            let shared = &client.shared;
            shared.last_active.store(self.keyspace.now().millis(), Relaxed);
            shared.database.store(caller.database as u32, Relaxed);
            if let Some(row) = self.last_row {
                shared.last_command.store(row as u32, Relaxed);
            }
        }
        self.effects.deliver(&self.services.alarm);
        self.continuation.flow
    }
}

/// Whether a command needs the gate alone: by its row, or as an EXEC of such commands.
fn needs_exclusive(row: &Row, client: Option<&Client>) -> bool {
    let transaction = client.and_then(|client| client.transaction.as_deref());
    row.command.flags.contains(Flags::EXCLUSIVE)
        || transaction.is_some_and(|transaction| transaction.queue.needs_exclusive())
}
