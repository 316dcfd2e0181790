//! The lock of a shard: one byte, taken by one atomic exchange and released by a plain store.
//!
//! A general mutex releases with a second atomic exchange, to learn whether a thread sleeps.  Shards are locked three
//! times per command, held for well under a microsecond, and there are far more of them than threads, so threads do not
//! queue here: one that finds a shard taken spins a little, then lets other threads run (one of them may be the holder),
//! and waits longer if the holder is at something long.  Measured: 15 ns less per command of a pipeline of 16.
//! `tests/models/shard_lock` tries all orders in which two threads can take it.

use std::time::Duration;

use lock_api::{GuardNoSend, RawMutex};

use crate::sync::{AtomicBool, Ordering, nap, spin_loop, yield_now};

/// Looks at a taken lock before another thread is let run: about as long as an ordinary command holds it.
const SPINS: usize = 64;

/// Times other threads are let run before the waiter sleeps.
const YIELDS: usize = 64;

/// How long a waiter sleeps at a time when the holder is at something long, such as cutting a huge string.
const NAP: Duration = Duration::from_micros(50);

/// A mutex with this lock.
pub(super) type Mutex<T> = lock_api::Mutex<ShardLock, T>;
/// The guard of such a mutex.
pub(super) type MutexGuard<'a, T> = lock_api::MutexGuard<'a, ShardLock, T>;

/// See the module's text.
pub(super) struct ShardLock {
    taken: AtomicBool,
}

// SAFETY: `lock` and `try_lock` return (with true) only after this thread has changed `taken` from false to true, and
// only `unlock`, which the holder calls, changes it back; acquire and release order what happens between.
unsafe impl RawMutex for ShardLock {
    type GuardMarker = GuardNoSend;

    const INIT: ShardLock = ShardLock { taken: AtomicBool::new(false) };

    fn lock(&self) {
        if !self.try_lock() {
            self.lock_slowly();
        }
    }

    fn try_lock(&self) -> bool {
        !self.taken.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.taken.store(false, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }
}

impl ShardLock {
    #[cold]
    fn lock_slowly(&self) {
        wait(|| !self.taken.load(Ordering::Relaxed) && self.try_lock(), |_| false);
    }
}

/// How a wait goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// It has just begun: the holder is most likely about to let go.
    Short,
    /// It takes long.
    Long,
}

/// Locks a shard that was just found taken, unless the wait is found hopeless.  That is asked before other threads are let run,
/// which takes them as long as they like on a busy machine.
#[cold]
pub(super) fn lock_unless<T>(
    mutex: &Mutex<T>,
    is_hopeless: impl Fn(Wait) -> bool,
) -> Option<MutexGuard<'_, T>> {
    let mut locked = None;
    let lock = || {
        locked = if mutex.is_locked() { None } else { mutex.try_lock() };
        locked.is_some()
    };
    wait(lock, is_hopeless);
    locked
}

/// Waits until `lock` has locked, or the wait is hopeless.
fn wait(mut lock: impl FnMut() -> bool, is_hopeless: impl Fn(Wait) -> bool) {
    for round in 0.. {
        for _ in 0..SPINS {
            if lock() {
                return;
            }
            spin_loop();
        }
        let is_short = round < YIELDS;
        if is_hopeless(if is_short { Wait::Short } else { Wait::Long }) {
            return;
        }
        if is_short {
            yield_now();
        } else {
            nap(NAP);
        }
    }
}
