//! What waits for the receivers of one fan-out, all together: its bounds, and the record of receivers that are too slow.

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use super::Outbox;
use super::budget::Budget;
use super::outbox::Bound;
use crate::clock::Now;
use crate::lock_order::{Mutex, rank};
use crate::log_queue::RepeatLimit;
use crate::settings::{Settings, SlowConsumer};

/// Slow receivers that the log names at a time; it only says how many more there are.
const REPORTS_MAX: usize = 16;

/// The list of receivers that are behind is cleared of those that have gone when it has become so long.
const BEHIND_MIN: usize = 1024;

/// See the module's text.
#[derive(Default)]
pub(super) struct Backlog {
    /// Bytes for one RESP subscriber; 0 for no limit.
    pubsub_max: AtomicUsize,
    /// Bytes for one receiver of another listener; 0 for no limit.
    pending_max: AtomicUsize,
    /// Most bytes of a message that a client of the broker publishes.
    payload_max: AtomicUsize,
    /// The policy of receivers that have none of their own: its place among all of them.
    policy: AtomicU8,
    /// The memory of all messages that wait.
    pub(super) budget: Arc<Budget>,
    /// Held while a batch with several receivers is handed over, so that all see such batches in one order.
    pub(super) turn: Mutex<(), { rank::HAND_OVER }>,
    /// Held by the thread that has receivers give way.
    pub(super) relief: Mutex<(), { rank::RELIEF }>,
    behind: Mutex<Behind, { rank::RECEIVERS_BEHIND }>,
    reports: Mutex<Reports, { rank::SLOW_RECEIVERS }>,
    /// How often receivers became too slow, by policy.
    slow: [AtomicU64; SlowConsumer::ALL.len()],
    /// Messages that were missed.
    missed: AtomicU64,
}

/// Receivers for which something has waited.
#[derive(Default)]
struct Behind {
    receivers: Vec<Weak<Outbox>>,
    /// The length at which those that have gone are removed.
    cleared_at: usize,
}

/// Slow receivers that the log does not know of yet.
#[derive(Default)]
struct Reports {
    waiting: Vec<SlowReceiver>,
    more: u64,
    limit: RepeatLimit,
}

/// A receiver that has become too slow.
pub(super) struct SlowReceiver {
    /// The number of the client, or of the feed.
    pub(super) id: u64,
    /// The client's address; none for a feed.
    pub(super) address: Option<SocketAddr>,
    /// What happened to it.
    pub(super) policy: SlowConsumer,
    /// Messages that it has missed so far.
    pub(super) missed: u64,
}

impl Backlog {
    /// Follows the settings that bound what waits for receivers.
    pub(super) fn follow_settings(&self, settings: &Settings) {
        self.pubsub_max.store(settings.client_output_buffer_limit.pubsub.hard, Relaxed);
        self.pending_max.store(settings.broker_max_pending, Relaxed);
        self.payload_max.store(settings.broker_max_payload, Relaxed);
        self.policy.store(settings.broker_slow_consumer as u8, Relaxed);
        self.budget.set_limit(settings.broker_memory_limit);
    }

    /// How much may wait for a RESP subscriber.
    pub(super) fn bound_of_resp(&self) -> Bound {
        Bound { bytes_max: limit(self.pubsub_max.load(Relaxed)), policy: SlowConsumer::Disconnect }
    }

    /// How much may wait for a receiver of another listener.
    pub(super) fn bound_of_broker(&self) -> Bound {
        let policy = SlowConsumer::ALL[usize::from(self.policy.load(Relaxed))];
        Bound { bytes_max: limit(self.pending_max.load(Relaxed)), policy }
    }

    /// Most bytes of a message that a client of the broker publishes.
    pub(super) fn payload_max(&self) -> usize {
        self.payload_max.load(Relaxed)
    }

    /// Remembers a receiver for which something waits, so that it can be found when all that waits is too much.
    pub(super) fn note_behind(&self, receiver: &Arc<Outbox>) {
        let mut behind = self.behind.lock();
        behind.receivers.push(Arc::downgrade(receiver));
        if behind.receivers.len() >= behind.cleared_at {
            behind.receivers.retain(|receiver| receiver.strong_count() > 0);
            behind.cleared_at = BEHIND_MIN.max(2 * behind.receivers.len());
        }
    }

    /// Takes out the receivers for which something may wait.  Those for which it does are to be noted again.
    pub(super) fn take_behind(&self) -> Vec<Arc<Outbox>> {
        let receivers = mem::take(&mut self.behind.lock().receivers);
        receivers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Counts messages that were missed.
    pub(super) fn count_missed(&self, messages: u64) {
        if messages > 0 {
            self.missed.fetch_add(messages, Relaxed);
        }
    }

    /// Takes note of a receiver that has become too slow.
    pub(super) fn report(&self, receiver: SlowReceiver) {
        self.slow[receiver.policy as usize].fetch_add(1, Relaxed);
        let mut reports = self.reports.lock();
        if reports.waiting.len() < REPORTS_MAX {
            reports.waiting.push(receiver);
        } else {
            reports.more += 1;
        }
    }

    /// Logs the receivers that have become too slow, a bounded number at a time.
    pub(super) fn log_slow_receivers(&self, now: Now) {
        let (waiting, more) = {
            let mut reports = self.reports.lock();
            if reports.waiting.is_empty() || reports.limit.admit(now).is_none() {
                return;
            }
            (mem::take(&mut reports.waiting), mem::take(&mut reports.more))
        };
        for SlowReceiver { id, address, policy, missed } in waiting {
            let policy = policy.word();
            match address {
                Some(address) => {
                    tracing::warn!(client = id, %address, policy, missed, "a receiver of messages is too slow")
                }
                None => tracing::warn!(feed = id, policy, missed, "a reader of a feed is too slow"),
            }
        }
        if more > 0 {
            tracing::warn!(receivers = more, "more receivers of messages are too slow");
        }
    }

    /// How often receivers became too slow, by the word of the policy.
    pub(super) fn slow_receivers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SlowConsumer::WORDS.iter().zip(&self.slow).map(|(word, count)| (*word, count.load(Relaxed)))
    }

    /// Messages that were missed.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }
}

fn limit(setting: usize) -> usize {
    if setting == 0 { usize::MAX } else { setting }
}
