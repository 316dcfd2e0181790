//! One thread's turn at the store: the gate is entered, commands run one after the other, effects are delivered.

use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::{Arguments, Output, Version};

use super::{Prepared, counted, missing, transaction};
use crate::client::{Client, Replies};
use crate::clock;
use crate::command::{Call, Continuation, Flags, Flow, Row, Services};
use crate::delivery::Effects;
use crate::metrics::ThreadMetrics;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::Snapshot;
use crate::store::eviction;
use crate::store::{Entered, Keyspace, ShardId};

/// Bytes of an unknown command and of its arguments that its refusal repeats.
const ECHOED_LENGTH_MAX: usize = 128;

/// See the module's text.
pub(super) struct Turn<'t, 's> {
    services: &'s Services,
    slot: usize,
    metrics: &'s ThreadMetrics,
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

impl<'t, 's> Turn<'t, 's> {
    /// Enters the gate and reads the time.
    pub(super) fn new(
        services: &'s Services,
        slot: usize,
        client: &Client,
        random: &'t mut Random,
        effects: &'t mut Effects,
        continuation: &'t mut Continuation,
        settings: &'t mut Snapshot,
    ) -> Turn<'t, 's> {
        continuation.flow = Flow::Continue;
        settings.refresh(&services.settings);
        // The time is read inside: entering may have taken long.
        let gate = services.store.gate().enter(slot);
        let now = services.clock.now();
        let access = super::access(settings, now, client.no_touch);
        Turn {
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
    pub(super) fn step(
        &mut self,
        client: &mut Client,
        arguments: Arguments<'_>,
        prepared: &Prepared,
        output: &mut Output,
    ) {
        if client.replies != Replies::On {
            return self.step_unheard(client, arguments, prepared, output);
        }
        self.step_heard(client, arguments, prepared, output);
    }

    /// Runs a request whose reply CLIENT REPLY has switched off.
    #[cold]
    fn step_unheard(
        &mut self,
        client: &mut Client,
        arguments: Arguments<'_>,
        prepared: &Prepared,
        output: &mut Output,
    ) {
        let (before, length) = (output.mark(), output.len());
        if client.replies == Replies::SkipNext {
            client.replies = Replies::SkipThis;
        }
        self.step_heard(client, arguments, prepared, output);
        match client.replies {
            Replies::On => {}
            Replies::Off | Replies::SkipNext => {
                output.truncate(before);
                self.continuation.forget_held(length);
            }
            // The reply that is to be skipped has not come yet.
            Replies::SkipThis if self.continuation.flow == Flow::Wait => {}
            Replies::SkipThis => {
                client.replies = Replies::On;
                output.truncate(before);
                self.continuation.forget_held(length);
            }
        }
    }

    fn step_heard(
        &mut self,
        client: &mut Client,
        arguments: Arguments<'_>,
        prepared: &Prepared,
        output: &mut Output,
    ) {
        let services = self.services;
        let row = prepared.row.map(|id| &services.commands.rows()[id]);
        let refusal = match row {
            None => self.unknown_command(arguments),
            Some(row) => match self.check(row, client, arguments) {
                Ok(()) if client.in_transaction() && !row.command.flags.contains(Flags::NO_QUEUE) => {
                    transaction::queue(row, client, arguments);
                    return output.simple("QUEUED");
                }
                Ok(()) => return self.execute(row, client, arguments, prepared, output),
                Err(refusal) => {
                    self.metrics.command(row.id).rejected.add(1);
                    if row.command.flags.contains(Flags::RUNS_QUEUE) {
                        client.forget_transaction(&mut self.keyspace);
                        transaction::abandoned(&refusal)
                    } else {
                        refusal
                    }
                }
            },
        };
        let refusal = transaction::refused(row, client, &mut self.keyspace, refusal);
        self.metrics.errors.count(refusal.code());
        if self.continuation.flow == Flow::Continue {
            output.error(refusal.text());
        }
    }

    /// What must hold before a command may run or be queued.
    fn check(&mut self, row: &Row, client: &Client, arguments: Arguments<'_>) -> Result<(), Refusal> {
        let flags = row.command.flags;
        if !row.subcommands.is_empty() && arguments.len() > 1 {
            let family = row.name.to_uppercase();
            let is_of_redis = missing::is_of_redis(row.name.as_bytes(), Some(arguments.at(1)));
            let parts: [&[u8]; 6] = [
                b"ERR unknown subcommand '",
                echoed(arguments.at(1)),
                b"'. Try ",
                family.as_bytes(),
                b" HELP.",
                if is_of_redis { &[b" ", missing::NOT_BUILT].concat() } else { b"" },
            ];
            return Err(Refusal::new(parts.concat()));
        }
        if !row.accepts(arguments.len()) {
            return Err(row.explained(Refusal::wrong_arity(&row.name)));
        }
        if !client.authenticated && !flags.contains(Flags::NO_AUTH) {
            return Err(Refusal::NO_AUTHENTICATION);
        }
        if client.in_transaction() && flags.contains(Flags::NO_MULTI) {
            return Err(Refusal::new("ERR Command not allowed inside a transaction"));
        }
        let limit = self.settings.maxmemory;
        if limit != 0
            && transaction::may_need_memory(row, client)
            && !self.make_room(limit)
            && transaction::is_refused_without_memory(row, client)
        {
            return Err(Refusal::OUT_OF_MEMORY);
        }
        if !client.subscriptions.is_empty()
            && client.version == Version::Resp2
            && !flags.contains(Flags::WHILE_SUBSCRIBED)
        {
            let name = &row.name;
            return Err(Refusal::new(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context"
            )));
        }
        Ok(())
    }

    /// Evicts while the store is over `limit`; false if it is and nothing could be evicted.
    fn make_room(&mut self, limit: usize) -> bool {
        let delta = self.keyspace.take_memory_delta();
        self.services.add_memory(delta);
        if self.services.store.evictable_memory() <= limit {
            return true;
        }
        eviction::make_room(&self.services.store, self.settings, self.random, &self.keyspace.access)
    }

    fn execute(
        &mut self,
        row: &'s Row,
        client: &mut Client,
        arguments: Arguments<'_>,
        prepared: &Prepared,
        output: &mut Output,
    ) {
        let exclusive =
            row.command.flags.contains(Flags::EXCLUSIVE) || transaction::needs_exclusive(row, client);
        if exclusive {
            return self.execute_exclusive(row, client, arguments, output);
        }
        self.keyspace.database = client.database;
        let first_hash = self.lock(row, client, arguments, prepared);
        self.run_timed(row, client, arguments, first_hash, output);
        self.keyspace.unlock();
    }

    fn execute_exclusive(
        &mut self,
        row: &'s Row,
        client: &mut Client,
        arguments: Arguments<'_>,
        output: &mut Output,
    ) {
        self.gate = None;
        let exclusive = self.services.store.gate().enter_exclusive();
        self.keyspace.set_now(self.services.clock.now());
        self.keyspace.database = client.database;
        self.keyspace.set_exclusive(true);
        self.run_timed(row, client, arguments, None, output);
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
        client: &Client,
        arguments: Arguments<'_>,
        prepared: &Prepared,
    ) -> Option<u64> {
        let keys = row.command.keys;
        let store = &self.services.store;
        let hash = prepared.key.as_ref()?.hash;
        debug_assert_eq!(hash, store.key(arguments.at(usize::from(keys.first))).hash);
        if i32::from(keys.last) == i32::from(keys.first) {
            // The shard that was prepared may be another: an earlier command of the batch can have changed the database.
            self.keyspace.lock_one(store.shard_of(client.database, hash));
            return Some(hash);
        }
        self.shard_ids.clear();
        for position in keys.positions(arguments) {
            let hash = store.key(arguments.at(position)).hash;
            self.shard_ids.push(store.shard_of(client.database, hash));
        }
        self.keyspace.lock_many(&mut self.shard_ids);
        Some(hash)
    }

    fn run_timed(
        &mut self,
        row: &'s Row,
        client: &mut Client,
        arguments: Arguments<'_>,
        first_hash: Option<u64>,
        output: &mut Output,
    ) {
        self.last_row = Some(row.id);
        let mut call = Call {
            arguments,
            row,
            client,
            keyspace: &mut self.keyspace,
            output,
            effects: self.effects,
            continuation: self.continuation,
            random: self.random,
            services: self.services,
            settings: self.settings,
            first_hash,
            slot: self.slot,
        };
        if let Some(now) = counted::run(&mut call, &mut self.ticks)
            && !row.command.flags.intersects(counted::QUICK)
        {
            self.keyspace.set_now(now);
            // It may have been a CONFIG SET or a CLIENT NO-TOUCH.
            self.keyspace.access = super::access(self.settings, now, client.no_touch);
        }
    }

    fn unknown_command(&mut self, arguments: Arguments<'_>) -> Refusal {
        let name = arguments.at(0);
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            // A browser or proxy was made to send HTTP here: nothing it says may be obeyed.
            self.continuation.flow = Flow::Close;
        }
        let mut shown = Vec::new();
        for argument in arguments.from(1).iter() {
            if shown.len() >= ECHOED_LENGTH_MAX {
                break;
            }
            let rest = &argument[..argument.len().min(ECHOED_LENGTH_MAX - shown.len())];
            shown.extend([b"'", rest, b"' "].concat());
        }
        let note = if missing::is_of_redis(name, None) { missing::NOT_BUILT } else { b"" };
        let parts: [&[u8]; 5] =
            [b"ERR unknown command '", echoed(name), b"', with args beginning with: ", &shown, note];
        Refusal::new(parts.concat())
    }

    /// Ends what a client that is gone had begun.
    pub(super) fn disconnect(&mut self, client: &mut Client) {
        client.forget_transaction(&mut self.keyspace);
        let now = self.keyspace.now();
        for service in self.services.rows {
            (service.disconnect)(self.services, client, now, self.effects);
        }
    }

    /// Leaves the gate, adds up, wakes whoever was sent something.
    pub(super) fn finish(mut self, client: &Client) -> Flow {
        self.keyspace.unlock();
        self.services.settle(self.slot, &mut self.keyspace);
        self.gate = None;
        let shared = &client.shared;
        shared.last_active.store(self.keyspace.now().millis(), Relaxed);
        if let Some(row) = self.last_row {
            shared.last_command.store(row as u32, Relaxed);
        }
        self.effects.deliver(&self.services.alarm);
        self.continuation.flow
    }
}

fn echoed(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(ECHOED_LENGTH_MAX)]
}
