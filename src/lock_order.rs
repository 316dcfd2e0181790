//! The order in which a thread takes locks, and the locks that check it.
//!
//! Two threads that take two locks in opposite order can wait for each other for ever.  So every lock of the project has a
//! rank in the table below, and a thread takes locks only in the order of their ranks: further down while it holds one
//! further up.  Locks of one rank are taken in the order of their numbers (slots of the gate, shards) or one at a time (all
//! others).  A thread that holds the gate exclusively may take shards in any order, since no other takes more than one then.
//!
//! Debug builds, and so all tests, check this whenever a lock is taken and panic on the first lock that is out of order,
//! whether or not another thread happens to be in the way.  Release builds check nothing and pay nothing.
//!
//! The ranks do not show two more rules.  No thread waits for the disk while it holds a lock, which [`assert_nothing_held`]
//! checks where the journal's files are written.  And no thread writes a log line under a lock if the line can wait until
//! the lock is released.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

pub use held::Held;

/// How often a thread that waits for a lock asks whether that is hopeless.
const HOPE_INTERVAL: Duration = Duration::from_millis(5);

macro_rules! ranks {
    ($($(#[$text:meta])+ $name:ident,)+) => {
        /// The ranks: every lock of the project, from the first that may be taken to the last.
        pub mod rank {
            #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "it only numbers the constants")]
            enum Number {
                $($name,)+
            }

            $($(#[$text])+ pub const $name: u8 = Number::$name as u8;)+

            /// Their names by their numbers.
            #[cfg(debug_assertions)]
            pub(super) const NAMES: &[&str] = &[$(stringify!($name),)+];
        }
    };
}

ranks! {
    /// A slot of the gate, by its number.
    GATE,
    /// The randomness of an HTTP thread's endpoints, held for a whole visit to the store.
    ENDPOINT_RANDOM,
    /// Looks at shards that are held for long.
    LOOKS,
    /// A shard of the store, by its id.
    SHARD,
    /// The right to run a transaction that appends to the journal.
    JOURNAL_TURN,
    /// What scripts that run for long hold.
    LONG_HOLDS,
    /// The scripts that run for long.
    LONG_RUNS,
    /// The names of changed entries, which shards note.
    DIRTY_KEYS,
    /// The texts of the scripts.
    SCRIPTS,
    /// The right to change the libraries of functions.
    LIBRARIES,
    /// The commands that wait for keys to be written.
    KEY_WAITERS,
    /// How the members of an adaptive eviction policy do, which shards report.
    EVICTION_DUEL,
    /// The right to publish notices of locks.
    LOCK_NOTICES,
    /// The table of locks.
    LOCK_TABLE,
    /// The right to change policies.
    LIMIT_POLICIES,
    /// The lists and blocks of the limiter.
    LIMIT_LISTS,
    /// Commands whose waits are to be ended later.
    POSTPONED,
    /// Work for keys in shards that are held for long.
    POSTPONED_WORK,
    /// Open reservations.
    LIMIT_RESERVATIONS,
    /// The checks that wait for admission by the limiter.
    ADMISSION_QUEUE,
    /// Requests about streams that wait for the journal to be made.
    STREAMS_AWAITED,
    /// The table of streams.
    STREAM_TABLE,
    /// A stream: its messages and its consumers.
    STREAM,
    /// The folder of the streams' files.
    STREAM_FOLDER,
    /// Which files of streams are open.
    STREAM_FILES,
    /// The streams that wait for the disk.
    STREAMS_UNSETTLED,
    /// The wakers of the threads that settle streams.
    STREAM_SETTLERS,
    /// When streams and consumers have something to do.
    STREAM_DEADLINES,
    /// Work that waits for subscriptions to begin or end.
    INTEREST_WATCHES,
    /// When waits for messages of streams end.
    STREAM_TIMEOUTS,
    /// The answer to a waiter.
    MAILBOX,
    /// The clients of MONITOR.
    MONITORS,
    /// All clients by their ids.
    CLIENTS,
    /// Exact subjects and their subscriptions.
    SUBJECTS,
    /// Wildcards and their subscriptions.
    WILDCARDS,
    /// Globs and their subscriptions.
    GLOBS,
    /// The right to change settings.
    SETTINGS,
    /// Which addresses have tried wrong passwords.
    ATTEMPTS,
    /// The tickets that are out.
    TICKETS,
    /// The details that a client has given about itself.
    CLIENT_IDENTITY,
    /// The subscriptions of a client of the broker's protocol.
    CLIENT_SUBSCRIPTIONS,
    /// The clients of the broker that have gone last.
    CLOSED_CLIENTS,
    /// When the log may be told of refused connections again.
    REJECTIONS,
    /// The right to hand a batch of messages to several receivers.
    HAND_OVER,
    /// The right to have receivers give way when all waiting messages together are too much.
    RELIEF,
    /// Messages that wait for a receiver.
    OUTBOX,
    /// Requests that a receiver may answer.
    OPEN_REQUESTS,
    /// Receivers for which something waits.
    RECEIVERS_BEHIND,
    /// Receivers that have become too slow, which the log is to name.
    SLOW_RECEIVERS,
    /// Work for the runners of HTTP.
    RUNNERS,
    /// What a request over HTTP has a runner do.
    RUNNERS_TASK,
    /// Work that batches have left over.
    LEFT_WORK,
    /// The tasks that wait for the journal to be made.
    JOURNAL_AWAITED,
    /// Which journal the groups belong to.
    JOURNAL_OF_GROUPS,
    /// Records that wait for the journal's writer.
    JOURNAL,
    /// The segments of the journal, and which of them are open.
    JOURNAL_SEGMENTS,
    /// The tasks that wait for a sync.
    JOURNAL_WAITERS,
    /// The thread of the journal's writer.
    JOURNAL_THREAD,
    /// Refusals by their codes.
    ERROR_COUNTS,
    /// HTTP requests by their routes.
    REQUEST_COUNTS,
    /// Spikes of latency.
    LATENCIES,
    /// The slow log.
    SLOW_LOG,
    /// Rates per second.
    RATES,
    /// Keys that a policy refuses most.
    OFFENDERS,
    /// Recent refusals of a policy by key.
    VIOLATIONS,
    /// The connections of a worker while no thread serves them.  A script that runs for long leaves them there, under any locks.
    BERTH,
    /// Connections of a worker that were woken.  Wakers take it, under any other lock.
    WOKEN,
    /// Time zones by their names.
    ZONES,
    /// Lines of the log that wait to be written.  A line may be logged under any other lock.
    LOG,
}

/// A mutex with a place in the order.
#[derive(Debug, Default)]
pub struct Mutex<T, const RANK: u8>(parking_lot::Mutex<T>);

/// A lock for one writer or several readers, with a place in the order.
#[derive(Debug, Default)]
pub struct RwLock<T, const RANK: u8>(parking_lot::RwLock<T>);

/// Lets a thread wait, under a mutex, until something has changed.
#[derive(Default)]
pub struct Condvar(parking_lot::Condvar);

/// Access to the value of a lock, until it is dropped.
pub struct Guard<G> {
    inner: G,
    _held: Held,
}

/// A locked [`Mutex`].
pub type MutexGuard<'l, T> = Guard<parking_lot::MutexGuard<'l, T>>;
/// A [`RwLock`] locked for reading.
pub type ReadGuard<'l, T> = Guard<parking_lot::RwLockReadGuard<'l, T>>;
/// A [`RwLock`] locked for writing.
pub type WriteGuard<'l, T> = Guard<parking_lot::RwLockWriteGuard<'l, T>>;

impl<T, const RANK: u8> Mutex<T, RANK> {
    /// A mutex around a value.
    pub const fn new(value: T) -> Mutex<T, RANK> {
        Mutex(parking_lot::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_number(0)
    }

    /// The same for one of several locks of this rank that a thread may hold at once, in the order of their numbers.
    pub fn lock_number(&self, number: u64) -> MutexGuard<'_, T> {
        let held = Held::new(RANK, number);
        Guard { inner: self.0.lock(), _held: held }
    }

    /// The same, unless the wait becomes hopeless, which is asked now and then.
    pub fn lock_number_unless(
        &self,
        number: u64,
        is_hopeless: impl Fn() -> bool,
    ) -> Option<MutexGuard<'_, T>> {
        let held = Held::new(RANK, number);
        let mut inner = self.0.try_lock();
        while inner.is_none() && !is_hopeless() {
            inner = self.0.try_lock_for(HOPE_INTERVAL);
        }
        Some(Guard { inner: inner?, _held: held })
    }

    /// Takes the lock if that is possible at once.  This may be out of order, since the thread does not wait.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.0.try_lock()?;
        Some(Guard { inner, _held: Held::without_waiting(RANK) })
    }
}

impl<T, const RANK: u8> RwLock<T, RANK> {
    /// A lock around a value.
    pub const fn new(value: T) -> RwLock<T, RANK> {
        RwLock(parking_lot::RwLock::new(value))
    }

    /// Waits until no thread writes.
    pub fn read(&self) -> ReadGuard<'_, T> {
        let held = Held::new(RANK, 0);
        Guard { inner: self.0.read(), _held: held }
    }

    /// Waits until no thread reads or writes.
    pub fn write(&self) -> WriteGuard<'_, T> {
        let held = Held::new(RANK, 0);
        Guard { inner: self.0.write(), _held: held }
    }
}

impl Condvar {
    /// Releases the mutex, waits to be notified, and takes the mutex again.  No other lock may be held meanwhile.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        held::assert_at_most(1, "waits for a change");
        self.0.wait(&mut guard.inner);
    }

    /// The same for a limited time, whatever else is held: for a process that is about to end, and a thread that looks now and then.  False if no notification
    /// came in that time.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, longest: Duration) -> bool {
        !self.0.wait_for(&mut guard.inner, longest).timed_out()
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.inner
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.inner
    }
}

impl<'m, M> Guard<&'m M> {
    /// Access to a map that locks itself, part by part, for as long as it is looked at.
    pub fn of_map(map: &'m M, rank: u8) -> Guard<&'m M> {
        Guard { inner: map, _held: Held::new(rank, 0) }
    }
}

/// Panics in debug builds if the thread holds a lock.  `does` says what it is about to do, which may take long.
pub fn assert_nothing_held(does: &str) {
    held::assert_at_most(0, does);
}

#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;
    use std::marker::PhantomData;

    use super::rank::{self, NAMES};

    /// The number, at the gate, of a thread that holds all slots.
    const ALONE: u64 = u64::MAX;

    thread_local! {
        /// The ranks and numbers of the locks that this thread holds, in the order in which it took them.
        static HELD: RefCell<Vec<(u8, u64)>> = const { RefCell::new(Vec::new()) };
    }

    /// A note that this thread holds a lock, for as long as it lives; for locks that are not made here.
    pub struct Held {
        lock: (u8, u64),
        /// The note belongs to the thread.
        _thread: PhantomData<*const ()>,
    }

    impl Held {
        /// Notes that the thread is about to wait for a lock.
        ///
        /// # Panics
        /// If the thread holds a lock that has to be taken after this one.
        pub fn new(rank: u8, number: u64) -> Held {
            let lock = (rank, number);
            HELD.with_borrow(|held| {
                if let Some(other) = held.iter().find(|other| !may_follow(lock, **other, held)) {
                    let name = |(rank, number): (u8, u64)| format!("{} {number}", NAMES[usize::from(rank)]);
                    panic!("locks out of order: {} is taken while {} is held", name(lock), name(*other));
                }
            });
            Held::push(lock)
        }

        /// Notes that the thread holds all slots of the gate.
        pub fn alone() -> Held {
            Held::push((rank::GATE, ALONE))
        }

        /// Notes a lock that was taken without waiting for it.
        pub(super) fn without_waiting(rank: u8) -> Held {
            Held::push((rank, 0))
        }

        fn push(lock: (u8, u64)) -> Held {
            HELD.with_borrow_mut(|held| held.push(lock));
            Held { lock, _thread: PhantomData }
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // A thread that ends has nothing left to check.
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                if let Some(place) = held.iter().rposition(|other| *other == self.lock) {
                    held.remove(place);
                }
            });
        }
    }

    fn may_follow(lock: (u8, u64), other: (u8, u64), held: &[(u8, u64)]) -> bool {
        let is_any_shard = lock.0 == rank::SHARD && other.0 == rank::SHARD && lock != other;
        lock > other || is_any_shard && held.contains(&(rank::GATE, ALONE))
    }

    pub(super) fn assert_at_most(count: usize, does: &str) {
        HELD.with_borrow(|held| {
            let names: Vec<&str> = held.iter().map(|(rank, _)| NAMES[usize::from(*rank)]).collect();
            assert!(names.len() <= count, "a thread {does} while it holds {}", names.join(", "));
        });
    }
}

#[cfg(not(debug_assertions))]
mod held {
    /// Nothing: only debug builds check the order of locks.
    pub struct Held(());

    impl Held {
        /// Notes nothing.
        #[inline(always)]
        pub fn new(_rank: u8, _number: u64) -> Held {
            Held(())
        }

        /// Notes nothing.
        #[inline(always)]
        pub fn alone() -> Held {
            Held(())
        }

        #[inline(always)]
        pub(super) fn without_waiting(_rank: u8) -> Held {
            Held(())
        }
    }

    #[inline(always)]
    pub(super) fn assert_at_most(_count: usize, _does: &str) {}
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    type First = Mutex<(), { rank::LOCK_TABLE }>;
    type Second = Mutex<(), { rank::JOURNAL }>;

    #[test]
    fn locks_may_be_taken_in_order_and_released_in_any() {
        let (first, second) = (First::default(), Second::default());
        for _ in 0..2 {
            let (one, other) = (first.lock(), second.lock());
            drop(one);
            drop(other);
            drop(first.lock());
        }
    }

    #[test]
    #[should_panic(expected = "locks out of order: LOCK_TABLE 0 is taken while JOURNAL 0 is held")]
    fn a_reversed_pair_is_found_without_a_second_thread() {
        let (first, second) = (First::default(), Second::default());
        let _second = second.lock();
        let _first = first.lock();
    }

    #[test]
    #[should_panic(expected = "JOURNAL 0 is taken while JOURNAL 0 is held")]
    fn a_lock_is_not_taken_twice() {
        let (one, other) = (Second::default(), Second::default());
        let _one = one.lock();
        let _other = other.lock();
    }

    #[test]
    #[should_panic(expected = "locks out of order: SETTINGS 0 is taken while SETTINGS 0 is held")]
    fn readers_too_have_an_order() {
        let lock = RwLock::<(), { rank::SETTINGS }>::default();
        let _reader = lock.read();
        let _other = lock.read();
    }

    #[test]
    fn numbered_locks_are_taken_in_the_order_of_their_numbers() {
        let _held = [Held::new(rank::SHARD, 1), Held::new(rank::SHARD, 5)];
        assert!(std::panic::catch_unwind(|| Held::new(rank::SHARD, 4)).is_err());
    }

    #[test]
    fn an_exclusive_holder_takes_shards_in_any_order_but_none_twice() {
        let _held = [Held::alone(), Held::new(rank::SHARD, 5), Held::new(rank::SHARD, 1)];
        assert!(std::panic::catch_unwind(|| Held::new(rank::SHARD, 5)).is_err());
        assert!(std::panic::catch_unwind(|| Held::new(rank::GATE, 0)).is_err());
    }

    #[test]
    #[should_panic(expected = "a thread writes while it holds JOURNAL")]
    fn a_thread_that_holds_a_lock_may_not_wait_for_the_disk() {
        let mutex = Second::default();
        let _guard = mutex.lock();
        assert_nothing_held("writes");
    }
}
