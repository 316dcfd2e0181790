//! What other threads see of a client of the broker's protocol, beside what all clients have.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use hashbrown::HashTable;

use super::CloseReason;
use crate::delivery::{Amount, Subscription};
use crate::lock_order::{Mutex, rank};
use crate::settings::SlowConsumer;

/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// A deadline that has come, so that the client's own thread is to look at its timers.
const DUE: u64 = 0;

/// Nobody has said how to deal with the client if it reads too slowly, or why its connection ends.
const UNSAID: u8 = u8::MAX;

/// So many subscriptions with a maximum are looked through for spent ones at least.
const SWEEP_MIN: usize = 16;

bitflags::bitflags! {
    /// What a client said of itself in CONNECT.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct BrokerOptions: u8 {
        /// It wants each operation acknowledged.
        const VERBOSE = 1;
        /// It wants the subjects that it publishes on checked.
        const PEDANTIC = 1 << 1;
        /// It gets its own messages too.
        const ECHO = 1 << 2;
        /// It takes messages with headers, and may send them.
        const HEADERS = 1 << 3;
        /// It wants to hear of requests that nobody receives.
        const NO_RESPONDERS = 1 << 4;
        /// It takes INFO at any time.
        const TAKES_INFO = 1 << 5;
    }
}

impl BrokerOptions {
    /// The options of a client that has not said CONNECT, as somebody who types.
    pub const TYPED: BrokerOptions =
        BrokerOptions::VERBOSE.union(BrokerOptions::PEDANTIC).union(BrokerOptions::ECHO);
}

/// Makes [`LastOperation`] with its names.
macro_rules! operations {
    ($($(#[$text:meta])* $operation:ident = $name:literal,)*) => {
        /// The kind of a client's last operation.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum LastOperation { $($(#[$text])* $operation,)* }

        impl LastOperation {
            const NAMES: &[&str] = &[$($name),*];
        }
    };
}

operations! {
    /// It has said nothing.
    None = "NULL",
    /// CONNECT.
    Connect = "connect",
    /// PUB.
    Publish = "pub",
    /// HPUB.
    PublishWithHeaders = "hpub",
    /// SUB.
    Subscribe = "sub",
    /// UNSUB.
    Unsubscribe = "unsub",
    /// PING.
    Ping = "ping",
    /// PONG.
    Pong = "pong",
}

/// See the module's text.  The client's own thread writes the numbers.
pub struct BrokerFacts {
    /// Messages it has published.
    messages_in: AtomicU64,
    /// Bytes of their headers and payloads.
    bytes_in: AtomicU64,
    /// Bytes that its socket has taken.
    pub bytes_out: AtomicU64,
    /// How long it took to answer the last ping, in microseconds; 0 if it has not answered any.
    round_trip: AtomicU64,
    options: AtomicU8,
    last_operation: AtomicU8,
    /// When its timers are to be looked at, in milliseconds of the server's clock.
    due_at: AtomicU64,
    /// Since when its socket takes nothing although output waits, in milliseconds of the server's clock, and `bytes_out` then.
    stalled_since: AtomicU64,
    stalled_at: AtomicU64,
    /// The place of its [`SlowConsumer`] among all; [`UNSAID`] if it has not said.
    slow_consumer: AtomicU8,
    /// The number of the [`CloseReason`] with which the server ends the connection; [`UNSAID`] while it does not.
    close_reason: AtomicU8,
    subscriptions: Mutex<Table, { rank::CLIENT_SUBSCRIPTIONS }>,
}

/// The subscriptions of one client.
#[derive(Default)]
struct Table {
    hasher: foldhash::fast::RandomState,
    by_id: HashTable<Arc<Subscription>>,
    /// Those that end after a number of messages.  They end on the threads of publishers, so they are looked through when
    /// they have doubled or the client has as many as it may, and stay in both lists until then.
    limited: Vec<Arc<Subscription>>,
    /// The number of `limited` at which they are looked through next.
    sweep_at: usize,
}

impl Default for BrokerFacts {
    fn default() -> BrokerFacts {
        BrokerFacts {
            messages_in: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            round_trip: AtomicU64::default(),
            options: AtomicU8::new(BrokerOptions::TYPED.bits()),
            last_operation: AtomicU8::new(LastOperation::None as u8),
            due_at: AtomicU64::new(NEVER),
            stalled_since: AtomicU64::new(NEVER),
            stalled_at: AtomicU64::default(),
            slow_consumer: AtomicU8::new(UNSAID),
            close_reason: AtomicU8::new(UNSAID),
            subscriptions: Mutex::default(),
        }
    }
}

impl BrokerFacts {
    /// What it said in CONNECT.
    pub fn options(&self) -> BrokerOptions {
        BrokerOptions::from_bits_truncate(self.options.load(Relaxed))
    }

    /// Notes what it said in CONNECT.
    pub fn set_options(&self, options: BrokerOptions) {
        self.options.store(options.bits(), Relaxed);
    }

    /// What it has said should happen if it reads too slowly.
    pub fn slow_consumer(&self) -> Option<SlowConsumer> {
        SlowConsumer::ALL.get(usize::from(self.slow_consumer.load(Relaxed))).copied()
    }

    /// Notes what should happen if it reads too slowly.
    pub fn set_slow_consumer(&self, policy: SlowConsumer) {
        self.slow_consumer.store(policy as u8, Relaxed);
    }

    /// Why the server ends the connection; none if it does not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        CloseReason::of(self.close_reason.load(Relaxed))
    }

    /// Notes why the server ends the connection.  The first reason stays.
    pub fn set_close_reason(&self, reason: CloseReason) {
        let _ = self.close_reason.compare_exchange(UNSAID, reason as u8, Relaxed, Relaxed);
    }

    /// The name of its last operation.
    pub fn last_operation(&self) -> &'static str {
        LastOperation::NAMES[usize::from(self.last_operation.load(Relaxed))]
    }

    /// Notes its last operation.
    pub fn set_last_operation(&self, operation: LastOperation) {
        self.last_operation.store(operation as u8, Relaxed);
    }

    /// What it has published.
    pub fn published(&self) -> Amount {
        Amount { messages: self.messages_in.load(Relaxed), bytes: self.bytes_in.load(Relaxed) }
    }

    /// Adds to what it has published.  Only the client's own thread may.
    pub fn count_published(&self, amount: Amount) {
        if amount.messages > 0 {
            let sum = self.published();
            self.messages_in.store(sum.messages + amount.messages, Relaxed);
            self.bytes_in.store(sum.bytes + amount.bytes, Relaxed);
        }
    }

    /// How long it took to answer the last ping; none if it has not answered any.
    pub fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.load(Relaxed);
        (micros > 0).then_some(Duration::from_micros(micros))
    }

    /// Notes how long it took to answer a ping.
    pub fn set_round_trip(&self, taken: Duration) {
        self.round_trip.store((taken.as_micros() as u64).max(1), Relaxed);
    }

    /// Has the client woken when the time comes, in milliseconds of the server's clock.
    pub fn set_deadline(&self, deadline: u64) {
        self.due_at.store(deadline.max(DUE + 1), Relaxed);
    }

    /// Whether its timers are to be looked at.
    pub fn is_due(&self) -> bool {
        self.due_at.load(Relaxed) == DUE
    }

    /// Makes the timers due if their time has come; true if it has, and the client is to be woken.
    pub fn fall_due(&self, now: u64) -> bool {
        let has_come = self.due_at.load(Relaxed) <= now;
        if has_come {
            self.due_at.store(DUE, Relaxed);
        }
        has_come
    }

    /// For how long its socket has taken nothing although output waits, in milliseconds.  To be called by one thread, now
    /// and then.
    pub fn stalled_for(&self, has_output: bool, now: u64) -> u64 {
        let written = self.bytes_out.load(Relaxed);
        if !has_output {
            self.stalled_since.store(NEVER, Relaxed);
            return 0;
        }
        let since = self.stalled_since.load(Relaxed);
        if since == NEVER || self.stalled_at.load(Relaxed) != written {
            self.stalled_at.store(written, Relaxed);
            self.stalled_since.store(now, Relaxed);
            return 0;
        }
        now.saturating_sub(since)
    }

    /// The subscription of this id, if there is one that still gets messages.
    pub fn subscription(&self, id: &[u8]) -> Option<Arc<Subscription>> {
        self.subscriptions.lock().find(id).filter(|found| !found.is_spent()).cloned()
    }

    /// The number of subscriptions.
    pub fn subscription_count(&self) -> usize {
        let table = self.subscriptions.lock();
        match table.limited.is_empty() {
            true => table.by_id.len(),
            false => table.by_id.iter().filter(|subscription| !subscription.is_spent()).count(),
        }
    }

    /// The subscriptions, in no order.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        let table = self.subscriptions.lock();
        table.by_id.iter().filter(|subscription| !subscription.is_spent()).cloned().collect()
    }

    /// Whether it has so many subscriptions.
    pub fn has_subscriptions(&self, count: usize) -> bool {
        let mut table = self.subscriptions.lock();
        if table.by_id.len() >= count {
            table.sweep();
        }
        table.by_id.len() >= count
    }

    /// Adds a subscription whose id no other one has that still gets messages.
    pub fn add_subscription(&self, subscription: Arc<Subscription>) {
        let mut table = self.subscriptions.lock();
        table.remove(&subscription.options().id);
        table.add(subscription);
    }

    /// Takes a subscription out.
    pub fn remove_subscription(&self, id: &[u8]) -> Option<Arc<Subscription>> {
        self.subscriptions.lock().remove(id)
    }

    /// Notes that a subscription ends after a number of messages, so that it is taken out some time after that.
    pub fn note_limited(&self, subscription: Arc<Subscription>) {
        self.subscriptions.lock().note_limited(subscription);
    }

    /// Takes all subscriptions out.
    pub fn take_subscriptions(&self) -> Vec<Arc<Subscription>> {
        let mut table = self.subscriptions.lock();
        table.limited = Vec::new();
        std::mem::take(&mut table.by_id).into_iter().collect()
    }
}

impl Table {
    fn hash(&self, id: &[u8]) -> u64 {
        self.hasher.hash_one(id)
    }

    fn find(&self, id: &[u8]) -> Option<&Arc<Subscription>> {
        self.by_id.find(self.hash(id), |other| *other.options().id == *id)
    }

    fn add(&mut self, subscription: Arc<Subscription>) {
        let hash = self.hash(&subscription.options().id);
        let Table { hasher, by_id, .. } = self;
        by_id.insert_unique(hash, subscription, |other| hasher.hash_one(&*other.options().id));
    }

    fn remove(&mut self, id: &[u8]) -> Option<Arc<Subscription>> {
        let entry = self.by_id.find_entry(self.hash(id), |other| *other.options().id == *id).ok()?;
        let (removed, _) = entry.remove();
        Some(removed)
    }

    fn note_limited(&mut self, subscription: Arc<Subscription>) {
        self.limited.push(subscription);
        if self.limited.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
            self.sweep_at = 2 * self.limited.len();
        }
    }

    /// Takes those out that have had all their messages.
    fn sweep(&mut self) {
        let mut limited = std::mem::take(&mut self.limited);
        // A client may change the number of messages as often as it likes.
        limited.sort_unstable_by_key(Arc::as_ptr);
        limited.dedup_by(|one, other| Arc::ptr_eq(one, other));
        limited.retain(|subscription| {
            let id = &subscription.options().id;
            let is_in_table = self.find(id).is_some_and(|found| Arc::ptr_eq(found, subscription));
            if is_in_table && subscription.is_spent() {
                self.remove(id);
            }
            is_in_table && !subscription.is_spent()
        });
        self.limited = limited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Alarm;
    use crate::delivery::{Effects, FanOut, Message, Outbox, SubscriptionOptions, Topic};

    fn subscribe(facts: &BrokerFacts, fan_out: &FanOut, id: &str) -> Arc<Subscription> {
        let options = SubscriptionOptions { id: id.as_bytes().into(), ..SubscriptionOptions::default() };
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        let subscription = Subscription::new(Topic::exact(b"news"), options, &outbox);
        facts.add_subscription(Arc::clone(&subscription));
        fan_out.subscribe(Arc::clone(&subscription), &mut Effects::default());
        subscription
    }

    #[test]
    fn a_subscription_is_noted_once_however_often_its_end_changes() {
        let (facts, fan_out) = (BrokerFacts::default(), FanOut::default());
        let subscription = subscribe(&facts, &fan_out, "1");
        for _ in 0..10 * SWEEP_MIN {
            subscription.end_after(2, &mut Effects::default());
            facts.note_limited(Arc::clone(&subscription));
            assert!(facts.subscriptions.lock().limited.len() < SWEEP_MIN);
        }
        assert!(facts.has_subscriptions(1));
    }

    #[test]
    fn those_that_have_had_all_messages_make_room() {
        let (facts, fan_out) = (BrokerFacts::default(), FanOut::default());
        let limited = subscribe(&facts, &fan_out, "1");
        subscribe(&facts, &fan_out, "2");
        limited.end_after(1, &mut Effects::default());
        facts.note_limited(limited);
        assert!(facts.has_subscriptions(2));
        let mut effects = Effects::default();
        assert_eq!(fan_out.publish(&Message::new(b"news", b"hi"), &mut effects).count, 2);
        effects.deliver(&Alarm::default());
        assert!(!facts.has_subscriptions(2));
        let table = facts.subscriptions.lock();
        assert_eq!((table.by_id.len(), table.limited.len()), (1, 0));
    }
}
