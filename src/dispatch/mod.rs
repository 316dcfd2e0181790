//! The one road from a request to its handler: look up, check, lock, run, unlock, count.
//!
//! A [`Runner`] belongs to one thread.  It takes requests in batches, so that the clock is read, the gate entered
//! and clients woken once for many commands, and so that the memory of all keys of a batch is on its way before
//! the first command needs it.

mod counted;
mod missing;
pub mod transaction;
mod turn;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Arguments, Batch, Output};

use crate::client::Client;
use crate::clock::Now;
use crate::command::{BlockedCommand, Continuation, Flow, HeldReply, Services};
use crate::delivery::Effects;
use crate::metrics::latency::Event;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::settings::{Settings, Snapshot};
use crate::store::eviction;
use crate::store::{AccessContext, ShardId};
use crate::wait::Lost;
use turn::Turn;

/// Requests taken together.  More would not hide more latency and would let one client hold the thread longer.
pub const BATCH_LIMIT: usize = 32;

/// One thread's means to run commands.
pub struct Runner {
    services: Arc<Services>,
    /// The number of the thread at the gate and in the metrics.
    slot: usize,
    random: Random,
    effects: Effects,
    continuation: Continuation,
    settings: Snapshot,
    prepared: Vec<Prepared>,
    /// Where the next step of active expiry begins.
    expiry_cursor: usize,
    eviction: eviction::Housekeeping,
}

/// What is known of a request before its turn: the command and the shard of its first key.
#[derive(Clone, Copy)]
struct Prepared {
    row: Option<usize>,
    key: Option<PreparedKey>,
}

#[derive(Clone, Copy)]
struct PreparedKey {
    hash: u64,
    shard: ShardId,
}

/// How far a batch came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// Requests done; fewer than the batch holds only if `flow` is not [`Flow::Continue`].
    pub done: usize,
    /// What becomes of the connection.
    pub flow: Flow,
}

impl Runner {
    /// The runner of thread number `slot`.
    pub fn new(services: Arc<Services>, slot: usize, random: Random) -> Runner {
        Runner {
            settings: services.settings.snapshot(),
            services,
            slot,
            random,
            effects: Effects::default(),
            continuation: Continuation::default(),
            prepared: Vec::new(),
            expiry_cursor: 0,
            eviction: eviction::Housekeeping::default(),
        }
    }

    /// What all threads share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The settings as they are now.
    pub fn settings(&mut self) -> &Settings {
        self.settings.refresh(&self.services.settings);
        &self.settings
    }

    /// The thread's number.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Counts bytes that came from a client.
    pub fn count_received(&self, bytes: usize) {
        self.services.metrics.thread(self.slot).bytes_in.add(bytes as u64);
    }

    /// Counts bytes that a client's socket has taken.
    pub fn count_sent(&self, bytes: usize) {
        self.services.metrics.thread(self.slot).bytes_out.add(bytes as u64);
    }

    /// Runs the requests of a batch in order, each seen whole by everybody else.
    pub fn run(&mut self, client: &mut Client, batch: &Batch, buffer: &[u8], output: &mut Output) -> Ran {
        if batch.len() == 1 {
            let flow = self.run_one(client, batch.arguments(0, buffer), output);
            return Ran { done: 1, flow };
        }
        let Runner { services, slot, random, effects, continuation, settings, prepared, .. } = self;
        prepare_batch(services, client.database, batch, buffer, prepared);
        let mut turn = Turn::new(services, *slot, client, random, effects, continuation, settings);
        let mut done = 0;
        while done < batch.len() && turn.flow() == Flow::Continue {
            turn.step(client, batch.arguments(done, buffer), &prepared[done], output);
            done += 1;
        }
        Ran { done, flow: turn.finish(client) }
    }

    /// Runs one request, wherever it comes from.
    pub fn run_one(&mut self, client: &mut Client, arguments: Arguments<'_>, output: &mut Output) -> Flow {
        let Runner { services, slot, random, effects, continuation, settings, .. } = self;
        let prepared = prepare(services, client.database, arguments);
        let mut turn = Turn::new(services, *slot, client, random, effects, continuation, settings);
        turn.step(client, arguments, &prepared, output);
        turn.finish(client)
    }

    /// The command that waits, right after [`Flow::Wait`].
    pub fn take_blocked(&mut self) -> Option<Box<dyn BlockedCommand>> {
        self.continuation.blocked.take()
    }

    /// Whether replies that were written since [`Runner::take_held`] wait for the disk.
    pub fn has_held(&self) -> bool {
        !self.continuation.held.is_empty()
    }

    /// The replies that were written since this was last asked and wait for the disk, in their order.
    pub fn take_held(&mut self) -> Vec<HeldReply> {
        std::mem::take(&mut self.continuation.held)
    }

    /// Forgets replies that wait for the disk and were cut off behind the first `length` bytes of the output.
    pub fn forget_held(&mut self, length: usize) {
        self.continuation.forget_held(length);
    }

    /// Writes a reply anew, behind what `buffer` holds, whose wait for the disk is over.
    pub fn write_held(&mut self, held: HeldReply, outcome: Result<(), Lost>, buffer: &mut Buffer) {
        let HeldReply { promise, version, .. } = held;
        let now = self.services.clock.now();
        let mut output = Output::over(std::mem::take(buffer), version);
        match (outcome, promise) {
            (Ok(()), Some(mut promise)) => promise.write(&self.services, now, &mut output, &mut self.effects),
            (Ok(()), None) => debug_assert!(false, "a reply that stays true is not written anew"),
            (Err(Lost), promise) => {
                output.error(Refusal::NOT_KEPT.text());
                if let Some(mut promise) = promise {
                    promise.withdraw(&self.services, now, &mut self.effects);
                }
            }
        }
        *buffer = output.into_buffer();
        self.effects.deliver(&self.services.alarm);
    }

    /// Takes back what a reply promises that its client will not hear in time.
    pub fn withdraw_held(&mut self, held: &mut HeldReply) {
        if let Some(promise) = &mut held.promise {
            promise.withdraw(&self.services, self.services.clock.now(), &mut self.effects);
            self.effects.deliver(&self.services.alarm);
        }
    }

    /// Ready once a command that waits has written its reply; until then `waker` is woken when it may have one.
    pub fn poll_blocked(
        &mut self,
        blocked: &mut dyn BlockedCommand,
        waker: &Waker,
        output: &mut Output,
    ) -> Poll<()> {
        blocked.poll(waker, output, &mut self.continuation)
    }

    /// Ends the waiting of a command.
    pub fn cancel(&mut self, blocked: &dyn BlockedCommand) {
        blocked.cancel(&self.services, self.services.clock.now(), &mut self.effects);
        self.effects.deliver(&self.services.alarm);
    }

    /// Does what has fallen due in the services, if anything has.
    pub fn advance(&mut self) {
        let now = self.services.clock.now();
        if self.services.alarm.ring(now.millis()) {
            self.services.advance(now, &mut self.effects);
            self.effects.deliver(&self.services.alarm);
        }
    }

    /// Ends what a client that is gone had begun.
    pub fn disconnect(&mut self, client: &mut Client) {
        let Runner { services, slot, random, effects, continuation, settings, .. } = self;
        let mut turn = Turn::new(services, *slot, client, random, effects, continuation, settings);
        turn.disconnect(client);
        turn.finish(client);
        services.clients.disconnect(client.shared.id);
    }

    /// Gives back the memory of keys whose deadline has passed, for the shards that are this thread's to look
    /// after, in steps of bounded length.  Returns how many keys went.
    pub fn expire(&mut self) -> usize {
        self.settings.refresh(&self.services.settings);
        let services = &*self.services;
        if !services.active_expiry.load(Relaxed) {
            return 0;
        }
        let gate = services.store.gate().enter(self.slot);
        let began = services.clock.now();
        let access = access(&self.settings, began, false);
        let (removed, memory) = services.store.expire_due(self.slot, &mut self.expiry_cursor, &access);
        drop(gate);
        services.add_memory(memory);
        let threshold = self.settings.latency_monitor_threshold;
        if threshold > 0 {
            let now = services.clock.now();
            let micros = now.micros().saturating_sub(began.micros());
            services.metrics.latency.note(Event::ExpireCycle, now, micros, threshold);
        }
        removed
    }

    /// Goes a bounded step towards the memory limit if the store is over it.  True if there is more to do at once.
    pub fn evict(&mut self) -> bool {
        self.settings.refresh(&self.services.settings);
        let services = &*self.services;
        let _gate = services.store.gate().enter(self.slot);
        let access = access(&self.settings, services.clock.now(), false);
        self.eviction.step(&services.store, &self.settings, &mut self.random, &access)
    }
}

fn access(settings: &Settings, now: Now, no_touch: bool) -> AccessContext {
    let access = AccessContext::of(settings, now);
    let recency = if no_touch { access.recency.without_traces() } else { access.recency };
    AccessContext { recency, ..access }
}

// Inlined, or what it returns would be copied, and the processor would wait for it to be written first.
#[inline(always)]
fn prepare(services: &Services, database: usize, arguments: Arguments<'_>) -> Prepared {
    let Some(mut row) = services.commands.find(arguments.at(0)) else {
        return Prepared { row: None, key: None };
    };
    if !row.subcommands.is_empty()
        && let Some(name) = arguments.get(1)
    {
        match services.commands.find_subcommand(row, name) {
            Some(subcommand) => row = subcommand,
            None => return Prepared { row: Some(row.id), key: None },
        }
    }
    let keys = row.command.keys;
    let first = arguments.get(usize::from(keys.first)).filter(|_| keys.first != 0);
    let key = first.map(|bytes| {
        let hash = services.store.key(bytes).hash;
        PreparedKey { hash, shard: services.store.shard_of(database, hash) }
    });
    Prepared { row: Some(row.id), key }
}

/// Prepares a batch in three passes, each of which asks for the memory the next one needs: the shard's header, the
/// bucket, the entry.
fn prepare_batch(
    services: &Services,
    database: usize,
    batch: &Batch,
    buffer: &[u8],
    prepared: &mut Vec<Prepared>,
) {
    let store = &services.store;
    prepared.clear();
    for index in 0..batch.len() {
        let next = prepare(services, database, batch.arguments(index, buffer));
        if let Some(key) = next.key {
            store.prefetch_shard(key.shard);
        }
        prepared.push(next);
    }
    for key in prepared.iter().filter_map(|prepared| prepared.key) {
        store.prefetch_bucket(key.shard, key.hash);
    }
    for key in prepared.iter().filter_map(|prepared| prepared.key) {
        store.prefetch_entry(key.shard, key.hash);
    }
}
