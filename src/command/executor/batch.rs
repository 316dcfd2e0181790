//! The commands of one batch: the gate is entered, they run one after the other, effects are delivered.

use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::{Arguments, Output};

use super::lookup::{self, Found, FoundKey, check_arguments};
use super::{BATCH_LIMIT, Workspace, access, instrumentation, transaction, unknown};
use crate::clock;
use crate::command::{
    Call, Caller, CallerState, Client, Flags, Flow, NotLocked, PlacedKey, Replies, Restart, Row, Services,
    Transaction,
};
use crate::delivery::Effects;
use crate::metrics::ThreadMetrics;
use crate::refusal::Refusal;
use crate::store::eviction;
use crate::store::{Entered, HeldForLong, Keyspace, Patience, ShardId};

/// The flags of commands before which memory is looked after: all that may take or change some.
const MAY_NEED_MEMORY: Flags =
    Flags::WRITE.union(Flags::DENYOOM).union(Flags::RUNS_QUEUE).union(Flags::RUNS_SCRIPT);

/// The flags of commands that may write to the keys they declare.
const MAY_WRITE: Flags = Flags::WRITE.union(Flags::RUNS_SCRIPT);

/// The flags of commands that need more than the shards of their keys, or may.
const LOOKS_FURTHER: Flags = Flags::EXCLUSIVE.union(Flags::RUNS_QUEUE).union(Flags::SELF_LOCKING);

/// The thread is outside of its own accord: alone inside, or at the end of its batch.  No command is checked or locks keys then; one
/// that did would be refused as if a script kept it out.
const OUTSIDE: Result<Entered<'static>, HeldForLong> = Err(HeldForLong::ByScript);

/// See the module's text.
pub(super) struct BatchExecutor<'t, 's> {
    /// The call of the command that runs, or ran last: its request and row change, all else is the batch's.
    pub(super) call: Call<'t, 's>,
    /// The client, if the caller is a connection.
    client: Option<&'t mut Client>,
    /// An error while the thread is not inside, with the reason if it could not enter: only commands that run beside a long
    /// script may run then.
    pub(super) gate: Result<Entered<'s>, HeldForLong>,
    pub(super) metrics: &'s ThreadMetrics,
    shard_ids: Vec<ShardId>,
    /// The keys of a command behind its first one; the memory of a batch of them is asked for at once.
    further_keys: Vec<FoundKey>,
    /// The processor's ticks at the end of the last command.
    ticks: u64,
    /// The ticks when the clock was read for the time of the commands that follow.
    ticks_of_now: u64,
    has_run: bool,
}

/// Enters the gate, unless somebody keeps others out for long, and makes a view of the store for a batch of the caller.
pub(super) fn enter<'s>(
    services: &'s Services,
    workspace: &mut Workspace,
    leaves_traces: bool,
) -> (Result<Entered<'s>, HeldForLong>, Keyspace<'s>) {
    workspace.settings.refresh(&services.settings);
    // The time is read inside: entering may have taken long.
    let gate = services.store.gate().enter_unless_held(workspace.slot, Patience::Nobody);
    let now = services.clock.now();
    let access = access(&workspace.settings, now, leaves_traces);
    let mut keyspace = Keyspace::new(&services.store, now, access).of_slot(workspace.slot);
    keyspace.patience = Patience::Nobody;
    (gate, keyspace)
}

/// Whether a request publishes to a crowded stream, which has to write first.  A command that is queued publishes nothing
/// before EXEC, which waits for the whole queue, since it runs whole.
pub(super) fn has_to_wait(
    services: &Services,
    (caller, client): (&Caller, Option<&Client>),
    row: Option<&Row>,
    arguments: Arguments<'_>,
    effects: &mut Effects,
) -> bool {
    let Some(row) = row.filter(|row| row.takes(arguments.len())) else { return false };
    if !caller.state.contains(CallerState::IN_TRANSACTION) {
        return row.command.may_be_stored && services.fan_out.has_to_wait(arguments.at(1), effects);
    }
    let transaction = client.and_then(|client| client.transaction.as_ref());
    let queue = transaction.filter(|_| row.command.flags.contains(Flags::RUNS_QUEUE)).map(|it| &it.queue);
    queue.is_some_and(|queue| queue.has_to_wait(services, effects))
}

impl<'t, 's> BatchExecutor<'t, 's> {
    /// The executor of a batch that has entered the gate, if it could.
    pub(super) fn new(
        services: &'s Services,
        (gate, keyspace): (Result<Entered<'s>, HeldForLong>, &'t mut Keyspace<'s>),
        workspace: &'t mut Workspace,
        (caller, client): (&'t mut Caller, Option<&'t mut Client>),
        output: &'t mut Output,
    ) -> BatchExecutor<'t, 's> {
        let Workspace { slot, random, effects, continuation, settings } = workspace;
        continuation.flow = Flow::Continue;
        BatchExecutor {
            call: Call {
                arguments: Arguments::new(&[], &[]),
                row: services.commands.queue_runner(),
                caller,
                keyspace,
                output,
                effects,
                continuation,
                settings,
                random,
                services,
                first_hash: None,
                slot: *slot,
            },
            metrics: services.metrics.thread(*slot),
            client,
            gate,
            shard_ids: Vec::new(),
            further_keys: Vec::new(),
            ticks: clock::ticks(),
            ticks_of_now: 0,
            has_run: false,
        }
    }

    /// What becomes of the connection so far.
    pub(super) fn flow(&self) -> Flow {
        self.call.continuation.flow
    }

    /// Bytes of the replies that have not been handed out.
    pub(super) fn output_length(&self) -> usize {
        self.call.output.len()
    }

    /// Whether a request has to wait.
    pub(super) fn has_to_wait(&mut self, arguments: Arguments<'_>, found: &Found<'s>) -> bool {
        let Call { services, caller, effects, .. } = &mut self.call;
        has_to_wait(services, (caller, self.client.as_deref()), found.row, arguments, effects)
    }

    /// Runs one request and writes its reply.
    #[inline]
    pub(super) fn run(&mut self, arguments: Arguments<'t>, found: &Found<'s>) {
        match found.row {
            Some(row)
                if self.call.caller.state.is_empty()
                    && self.gate.is_ok()
                    && row.takes(arguments.len())
                    && !(row.command.flags.intersects(MAY_NEED_MEMORY)
                        && self.call.settings.maxmemory != 0) =>
            {
                self.execute(row, arguments, found);
            }
            _ => self.run_checked(arguments, found),
        }
    }

    /// Runs a request that may not simply run.
    #[inline(never)]
    fn run_checked(&mut self, arguments: Arguments<'t>, found: &Found<'s>) {
        if self.call.caller.state.contains(CallerState::SILENT) {
            self.run_silent(arguments, found);
        } else {
            self.run_heard(arguments, found);
        }
    }

    /// Runs a request whose reply CLIENT REPLY has switched off.
    fn run_silent(&mut self, arguments: Arguments<'t>, found: &Found<'s>) {
        let (before, length) = (self.call.output.mark(), self.call.output.len());
        if let Some(client) = &mut self.client
            && client.replies == Replies::SkipNext
        {
            client.replies = Replies::SkipThis;
        }
        self.run_heard(arguments, found);
        let Some(client) = &mut self.client else { return };
        let is_unwanted = match client.replies {
            Replies::On => false,
            Replies::Off | Replies::SkipNext => true,
            // The reply to skip may not have come yet.
            Replies::SkipThis => !matches!(self.call.continuation.flow, Flow::Wait | Flow::HeldUp { .. }),
        };
        if is_unwanted {
            self.call.output.truncate(before);
            self.call.continuation.forget_held(length);
            if client.replies == Replies::SkipThis {
                client.replies = Replies::On;
            }
        }
        self.call.caller.state = client.state();
    }

    /// Runs, queues or refuses a request.
    fn run_heard(&mut self, arguments: Arguments<'t>, found: &Found<'s>) {
        let Some(row) = found.row else {
            let name = arguments.at(0);
            let is_http = name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
            if is_http && self.client.is_some() {
                // Somebody made a browser or a proxy send HTTP here: nothing of it may be obeyed.
                self.call.continuation.flow = Flow::Close;
            }
            return self.refuse_request(None, unknown::command(arguments));
        };
        if let Err(HeldForLong::ByCommand { seen }) = self.gate
            && !row.command.flags.contains(Flags::ALLOW_BUSY)
        {
            self.call.continuation.flow = Flow::HeldUp { seen };
            return;
        }
        if let Err(refusal) = self.check(row, arguments) {
            self.metrics.command(row.id).rejected.add(1);
            return self.refuse_request(Some(row), refusal);
        }
        let caller = &mut *self.call.caller;
        let is_queued = caller.state.contains(CallerState::IN_TRANSACTION)
            && !row.command.flags.contains(Flags::NO_QUEUE);
        if is_queued
            && let Some(client) = &mut self.client
            && let Some(transaction) = &mut client.transaction
        {
            let buffer = caller.request.as_ref().map(|request| &request.buffer);
            transaction.queue.push(row, arguments, buffer);
            let queued = transaction.queue.len() as u32;
            client.resp().queued.store(queued + 1, Relaxed);
            return self.call.output.simple("QUEUED");
        }
        self.execute(row, arguments, found);
        if std::mem::take(&mut self.call.caller.has_own_message)
            && let Some(client) = &self.client
            && client.replies == Replies::On
        {
            // The message has its place behind the reply to the command that has published it.
            self.call.effects.take_messages(&client.shared.outbox, self.call.output);
        }
    }

    /// Whether a command may run or be queued.
    fn check(&mut self, row: &Row, arguments: Arguments<'_>) -> Result<(), Refusal> {
        let (flags, state) = (row.command.flags, self.call.caller.state);
        check_arguments(row, arguments)?;
        if state.contains(CallerState::UNAUTHENTICATED) && !flags.contains(Flags::NO_AUTH) {
            return Err(Refusal::NO_AUTHENTICATION);
        }
        if self.gate.is_err() && !flags.contains(Flags::ALLOW_BUSY) {
            return Err(self.call.services.busy());
        }
        let in_transaction = state.contains(CallerState::IN_TRANSACTION);
        if in_transaction && flags.contains(Flags::NO_MULTI) {
            return Err(Refusal::NOT_IN_TRANSACTIONS);
        }
        // Commands that read or free are queued and run without memory: queues have a limit of their own.
        if (in_transaction || flags.intersects(MAY_NEED_MEMORY)) && !self.has_room() {
            let is_refused = match flags.contains(Flags::RUNS_QUEUE) {
                true => self.transaction().is_some_and(|transaction| transaction.queue.needs_memory()),
                false => flags.contains(Flags::DENYOOM),
            };
            if is_refused {
                return Err(Refusal::OUT_OF_MEMORY);
            }
        }
        if self.call.caller.is_limited_to_subscribing() && !flags.contains(Flags::WHILE_SUBSCRIBED) {
            let name = &row.name;
            return Err(Refusal::new(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context"
            )));
        }
        Ok(())
    }

    /// The client's transaction.
    fn transaction(&self) -> Option<&Transaction> {
        self.client.as_ref()?.transaction.as_deref()
    }

    /// Refuses a request.  A transaction that is being queued will be aborted at its EXEC, and ends if EXEC itself is
    /// refused.
    fn refuse_request(&mut self, row: Option<&Row>, mut refusal: Refusal) {
        if let Some(client) = &mut self.client {
            if row.is_some_and(|row| row.command.flags.contains(Flags::RUNS_QUEUE)) {
                client.forget_transaction(self.call.keyspace, &self.call.services.key_waiters);
                refusal = transaction::discarded(&refusal);
            } else if client.in_transaction()
                && let Some(transaction) = &mut client.transaction
            {
                transaction.aborted = true;
            }
            self.call.caller.state = client.state();
        }
        self.refuse(&refusal);
    }

    /// Counts a refusal, and writes it unless the connection ends.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.metrics.errors.count(refusal.code());
        if self.call.continuation.flow == Flow::Continue {
            self.call.output.error(refusal.text());
        }
    }

    /// Evicts while the store is over its limit; false if it is and nothing could be evicted.
    pub(super) fn has_room(&mut self) -> bool {
        let Call { services, settings, keyspace, random, .. } = &mut self.call;
        let limit = settings.maxmemory;
        if limit == 0 {
            return true;
        }
        services.add_memory(keyspace.take_memory_delta());
        if services.store.evictable_memory() <= limit {
            return true;
        }
        eviction::make_room(&services.store, settings, random, &keyspace.access)
    }

    /// Runs a command that may run.
    #[inline]
    fn execute(&mut self, row: &'s Row, arguments: Arguments<'t>, found: &Found<'s>) {
        self.call.row = row;
        self.call.arguments = arguments;
        self.has_run = true;
        if row.command.flags.intersects(LOOKS_FURTHER) && self.needs_exclusive() {
            self.call.first_hash = None;
            return self.exclusively(Self::run_timed);
        }
        self.call.keyspace.database = self.call.caller.database;
        match self.lock(found) {
            Ok(first_hash) => self.call.first_hash = first_hash,
            // It does what it can without its keys.
            Err(HeldForLong::ByScript) if row.command.flags.contains(Flags::ALLOW_BUSY) => {
                self.call.first_hash = None;
            }
            Err(reason) => return self.hold_up(reason),
        }
        if row.command.flags.intersects(MAY_WRITE)
            && self.call.keyspace.has_interests()
            && let Err(reason) = self.lock_further()
        {
            self.call.keyspace.unlock();
            self.call.first_hash = None;
            return match reason {
                NotLocked::TooMany => self.exclusively(Self::run_timed),
                NotLocked::Held(reason) => self.hold_up(reason),
            };
        }
        self.run_timed();
        self.unlock();
        if self.call.continuation.restart.is_some() {
            self.run_again_alone();
        }
        if self.call.keyspace.has_ready() {
            self.serve_waiters();
        }
    }

    /// Locks what the commands write to that wait for keys of this one.
    #[cold]
    fn lock_further(&mut self) -> Result<(), NotLocked> {
        let Call { services, keyspace, arguments, row, .. } = &mut self.call;
        if !services.key_waiters.have_further_keys() {
            return Ok(());
        }
        let (store, database) = (keyspace.store(), keyspace.database);
        let positions = row.command.keys.positions(*arguments);
        let keys: Vec<PlacedKey> =
            positions.map(|position| (database, arguments.at(position).into())).collect();
        let shard = |(_, key): &PlacedKey| store.shard_of(database, store.key(key).hash);
        let shards: Vec<ShardId> = keys.iter().map(shard).collect();
        services.key_waiters.lock_further(keyspace, &shards, &keys)
    }

    /// Unlocks what a command has locked, once those are served who wait for what it has written.
    #[inline]
    pub(super) fn unlock(&mut self) {
        if self.call.keyspace.has_ready_locked() {
            self.serve_and_unlock();
        } else {
            self.call.keyspace.unlock();
        }
    }

    #[cold]
    fn serve_and_unlock(&mut self) {
        let Call { services, keyspace, .. } = &mut self.call;
        let served = services.key_waiters.serve_locked(keyspace);
        keyspace.unlock();
        services.key_waiters.finish(served, keyspace);
    }

    /// Runs a command that has found out that it needs the store alone, as if it had not begun: time and randomness are
    /// the same.
    #[cold]
    fn run_again_alone(&mut self) {
        let Some(Restart { random }) = self.call.continuation.restart.take() else { return };
        let now = self.call.keyspace.now();
        *self.call.random = random;
        self.call.first_hash = None;
        self.exclusively(|batch| {
            batch.call.keyspace.set_now(now);
            batch.run_timed();
        });
        // It was not run again if a script did not let it.
        self.call.continuation.began = None;
    }

    /// Does not run the command, since something that it needs is held for long: it is refused, or run again later.
    #[cold]
    fn hold_up(&mut self, reason: HeldForLong) {
        match reason {
            HeldForLong::ByScript => self.refuse_busy(),
            HeldForLong::ByCommand { seen } => self.call.continuation.flow = Flow::HeldUp { seen },
        }
    }

    /// Refuses the command because of what a script holds that runs for long.
    fn refuse_busy(&mut self) {
        let (row, refusal) = (self.call.row, self.call.services.busy());
        self.metrics.command(row.id).rejected.add(1);
        self.refuse_request(Some(row), refusal);
    }

    /// Serves the commands that wait for keys which were written and are not locked any more.
    #[cold]
    pub(super) fn serve_waiters(&mut self) {
        self.call.services.key_waiters.serve(self.call.keyspace);
    }

    /// Whether the command needs the gate alone: by its row, or as an EXEC of such commands.
    fn needs_exclusive(&self) -> bool {
        self.call.row.needs_store(self.call.arguments)
            || self.transaction().is_some_and(|transaction| transaction.queue.needs_exclusive())
    }

    /// Calls `run` while no other thread is inside the gate; holds the command up if somebody does not get out for long.
    #[inline(never)]
    pub(super) fn exclusively(&mut self, run: impl FnOnce(&mut Self)) {
        let (gate, clock) = (self.call.services.store.gate(), &self.call.services.clock);
        self.gate = OUTSIDE;
        let patience = self.call.keyspace.patience;
        let exclusive =
            gate.enter_exclusive(self.call.slot, Patience::to_be_alone(self.call.continuation.attempts));
        self.call.keyspace.set_now(clock.now());
        match &exclusive {
            Ok(_) => {
                self.call.keyspace.database = self.call.caller.database;
                self.call.keyspace.set_exclusive(true);
                run(self);
                self.call.keyspace.unlock();
                if self.call.keyspace.has_ready() {
                    self.serve_waiters();
                }
                self.call.keyspace.set_exclusive(false);
            }
            Err(reason) => self.hold_up(*reason),
        }
        drop(exclusive);
        self.gate = gate.enter_unless_held(self.call.slot, patience);
        self.call.keyspace.set_now(clock.now());
    }

    /// Locks the shards of the declared keys and returns the first key's hash.
    #[inline]
    fn lock(&mut self, found: &Found<'_>) -> Result<Option<u64>, HeldForLong> {
        let keys = &self.call.row.command.keys;
        let store = &self.call.services.store;
        let (arguments, database) = (self.call.arguments, self.call.caller.database);
        let Some(hash) = found.key.as_ref().map(|key| key.hash) else { return Ok(None) };
        self.gate.as_ref().map_err(|reason| *reason)?;
        debug_assert_eq!(
            Some(hash),
            keys.first_position(arguments).map(|at| store.key(arguments.at(at)).hash)
        );
        // Not the shard that was looked up: an earlier command of the batch may have changed the database.
        let shard = store.shard_of(database, hash);
        self.further_keys.clear();
        if !keys.is_one() {
            self.find_further_keys();
        }
        if self.further_keys.is_empty() {
            self.call.keyspace.lock_one_unless_held(shard)?;
            return Ok(Some(hash));
        }
        self.shard_ids.clear();
        self.shard_ids.push(shard);
        self.shard_ids.extend(self.further_keys.iter().map(|key| key.shard));
        self.call.keyspace.lock_many_unless_held(&mut self.shard_ids)?;
        Ok(Some(hash))
    }

    /// Finds the keys of the command behind the first one, which was found with the batch, and asks for their memory.
    fn find_further_keys(&mut self) {
        let store = &self.call.services.store;
        let (arguments, database) = (self.call.arguments, self.call.caller.database);
        for position in self.call.row.command.keys.positions(arguments).skip(1) {
            let hash = store.key(arguments.at(position)).hash;
            let shard = store.shard_of(database, hash);
            store.prefetch_shard(shard);
            self.further_keys.push(FoundKey { hash, shard });
        }
        lookup::prefetch(store, self.further_keys.iter().copied().take(BATCH_LIMIT));
    }

    #[inline]
    fn run_timed(&mut self) {
        let flags = self.call.row.command.flags;
        let client = self.client.as_deref_mut();
        let began = (self.ticks == self.ticks_of_now).then(|| self.call.keyspace.now());
        if let Some(now) = instrumentation::run(&mut self.call, client, &mut self.ticks, began).ended
            && !flags.intersects(instrumentation::QUICK)
        {
            self.call.keyspace.set_now(now);
            self.ticks_of_now = self.ticks;
            // The command may have been CONFIG SET or CLIENT NO-TOUCH.
            self.call.keyspace.access = access(self.call.settings, now, self.call.caller.leaves_traces);
        }
    }

    /// Leaves the gate, adds up the figures, and wakes the clients that were sent something.
    pub(super) fn finish(mut self) -> Flow {
        if !self.call.continuation.flow.is_held_up() {
            self.call.continuation.end_attempts();
        }
        let Call { services, keyspace, effects, caller, row, slot, .. } = &mut self.call;
        keyspace.unlock();
        services.settle(*slot, keyspace);
        keyspace.free_discarded();
        self.gate = OUTSIDE;
        if let Some(client) = &self.client {
            let (shared, resp) = (&client.shared, client.resp());
            shared.last_active.store(keyspace.now().millis(), Relaxed);
            resp.database.store(caller.database as u32, Relaxed);
            if self.has_run {
                resp.last_command.store(row.id as u32, Relaxed);
            }
        }
        services.fan_out.deliver(effects);
        self.call.continuation.flow
    }
}
