//! The state that all threads share: the services and the tables that commands work on.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{BlockedCommand, CommandTable, KeyWaiters, Monitors};
use crate::access::Tickets;
use crate::access::attempts::Attempts;
use crate::alarm::Alarm;
use crate::broker::announcement::Announcement;
use crate::client::Clients;
use crate::clock::{Clock, Now};
use crate::delivery::{Effects, FanOut};
use crate::journal::Status;
use crate::journal::keeper::JournalHandle;
use crate::limit::Limits;
use crate::lock::Locks;
use crate::lock_order::{Mutex, rank};
use crate::log_queue::LogQueue;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::script::{Scripts, Supervisor};
use crate::service::Service;
use crate::settings::Live;
use crate::store::{AccessContext, Growth, Keyspace, Patience, Store};
use crate::stream::Streams;

/// How long the thread that keeps the time leaves the store alone if somebody else is alone there.
pub const CLOSED_PAUSE: Duration = Duration::from_millis(5);

/// Microseconds in a millisecond.
const MICROSECONDS: u64 = 1000;

/// See the module's text.
pub struct Services {
    /// The rows of all services.
    pub rows: &'static [&'static Service],
    /// The data.
    pub store: Store,
    /// All commands.
    pub commands: CommandTable,
    /// The settings, which CONFIG reads and changes.
    pub settings: Live,
    /// The wrong passwords that each address has sent.
    pub attempts: Attempts,
    /// The tickets of clients that cannot send a password.
    pub tickets: Tickets,
    /// Channels, their subscribers, and the way of messages to them.
    pub fan_out: Arc<FanOut>,
    /// The slot at the gate, and the number in the metrics, of the thread that keeps the time.
    pub timekeeper: usize,
    /// The same of the first worker's stand-in; those of the other workers follow.
    pub first_stand_in: usize,
    /// The slot of the first thread that does what takes long for requests over HTTP.
    pub first_runner: usize,
    /// The journal of all services that keep something.
    pub journal: Arc<JournalHandle>,
    /// The rate limiter.
    pub limits: Limits,
    /// The locks.
    pub locks: Locks,
    /// The scripts that clients have brought.
    pub scripts: Scripts,
    /// Watches over the scripts that run.
    pub supervisor: Arc<Supervisor>,
    /// Commands whose waits are to be ended once a script lets others to the store.
    pub postponed: Mutex<Vec<Box<dyn BlockedCommand>>, { rank::POSTPONED }>,
    /// The durable streams.
    pub streams: Arc<Streams>,
    /// The clients that MONITOR shows every command.
    pub monitors: Monitors,
    /// What the broker tells its clients about itself.
    pub announcement: Announcement,
    /// The connected clients.
    pub clients: Arc<Clients>,
    /// The clock; commands use [`Call::now`](super::Call::now).
    pub clock: Arc<Clock>,
    /// Counts and latencies.
    pub metrics: Metrics,
    /// When the server started.
    pub started: Now,
    /// Forty hexadecimal digits that name this run.
    pub run_id: String,
    /// The earliest time at which a service has something to do that no client asks for.
    pub alarm: Arc<Alarm>,
    /// Cleared by DEBUG SET-ACTIVE-EXPIRE 0.
    pub active_expiry: AtomicBool,
    /// The commands that wait for keys to be written.
    pub key_waiters: KeyWaiters,
    /// The way of log lines out of the server.
    pub log: Arc<LogQueue>,
    /// Set once the server is about to stop, from when on it asks to be sent no more requests.
    pub draining: AtomicBool,
}

impl Services {
    /// The slot at the gate, and the number in the metrics, of the thread that stands in for a worker's other one.
    pub fn stand_in_slot(&self, worker: usize) -> usize {
        self.first_stand_in + worker
    }

    /// The slots at the gate, and the numbers in the metrics, of the threads that do what takes long for requests over HTTP.
    pub fn runner_slots(&self) -> Range<usize> {
        self.first_runner..self.timekeeper
    }

    /// What a command is told that needs what a script holds.
    pub fn busy(&self) -> Refusal {
        self.supervisor.busy()
    }

    /// Adds the figures of a view of the store to the thread's.  The view holds no lock any more.
    pub fn settle(&self, slot: usize, keyspace: &mut Keyspace<'_>) {
        self.add_memory(keyspace.take_memory_delta());
        let (reads, thread) = (keyspace.take_reads(), self.metrics.thread(slot));
        thread.hits.add(reads.hits);
        thread.misses.add(reads.misses);
    }

    /// Adds a batch's change of the store's memory, and tells the limiter whether there is room for more counters.
    pub fn add_memory(&self, growth: Growth) {
        self.store.add_memory(growth);
        if growth.pinned != 0 {
            self.update_counter_budget();
        }
    }

    /// Has the services follow the settings that they do not read each time: to be called after a change.
    pub fn follow_settings(&self) {
        self.rows.iter().for_each(|service| (service.follow_settings)(self));
    }

    /// Has all services begin, once they have their state of an earlier server back: the alarm rings at once, and they
    /// set it for their own deadlines.
    pub fn open(&self) {
        self.follow_settings();
        self.alarm.set(self.clock.now().millis());
    }

    /// Does everything that has fallen due: to be called when the alarm has rung.
    pub fn advance(&self, now: Now, effects: &mut Effects) {
        self.fan_out.take_over_work(effects);
        self.rows.iter().for_each(|service| (service.advance)(self, now, effects));
        self.time_out_waits(now, effects);
    }

    /// Ends the waits for keys whose time is over.
    fn time_out_waits(&self, now: Now, effects: &mut Effects) {
        let due = || self.key_waiters.next_deadline();
        if due().is_some_and(|deadline| deadline <= now.millis()) {
            if !self.store.gate().is_open(self.timekeeper) {
                return effects.set_deadline(now.after(CLOSED_PAUSE).micros());
            }
            let _gate = self.store.gate().enter(self.timekeeper);
            let access = AccessContext::of(&self.settings.current(), now);
            let mut keyspace = Keyspace::new(&self.store, now, access);
            keyspace.patience = Patience::Nobody;
            self.key_waiters.time_out(now.millis(), &mut keyspace);
            self.key_waiters.serve(&mut keyspace);
            self.settle(self.timekeeper, &mut keyspace);
        }
        if let Some(deadline) = due() {
            effects.set_deadline(deadline.saturating_mul(MICROSECONDS));
        }
    }

    /// Does the housekeeping of all services: to be called twice a second.
    pub fn keep_house(&self) {
        self.rows.iter().for_each(|service| (service.keep_house)(self));
    }

    /// Calls `write` with the name of every service that is kept and the state of the journal, once there is one.  Takes no
    /// lock that is held while somebody waits for the disk or the gate.
    pub fn each_journal(&self, mut write: impl FnMut(&'static str, Status)) {
        let kept = self.rows.iter().filter_map(|service| Some((service.name, service.persistence.as_ref()?)));
        for (name, persistence) in kept {
            if let Some(status) = (persistence.journal)(self).status() {
                write(name, status);
            }
        }
    }

    /// Says why the journal of a service cannot be written, if it cannot.
    ///
    /// # Errors
    /// With the reason.
    pub fn journal_health(&self, name: &str) -> Result<(), String> {
        let mut failure = None;
        self.each_journal(|service, status| {
            if service == name {
                failure = status.failure;
            }
        });
        failure.map_or(Ok(()), Err)
    }
}
