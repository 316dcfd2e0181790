//! The lock of a shard: the number of its holder, taken by one atomic exchange and released by a plain store.
//!
//! A general mutex releases with a second atomic exchange, to learn whether a thread sleeps.  Shards are locked three
//! times per command, held for well under a microsecond, and there are far more of them than threads, so threads do not
//! queue here: one that finds a shard taken spins a little, then lets other threads run (one of them may be the holder),
//! and waits longer if the holder is at something long.  Measured: 15 ns less per command of a pipeline of 16.
//! `tests/models/shard_lock` tries all orders in which two threads can take it.

use std::num::NonZeroU16;
use std::time::Duration;

use lock_api::{GuardNoSend, RawMutex};

use crate::sync::{AtomicU16, Ordering, nap, spin_loop, yield_now};

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

/// Who holds a lock, so that those who find it taken can tell whether they wait for something long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder(NonZeroU16);

/// The holder of a lock that nobody has.
const NOBODY: u16 = 0;

impl Holder {
    /// Somebody who does not say.
    pub(super) const UNNAMED: Holder = Holder(NonZeroU16::MIN);

    /// The thread of a slot at the gate.
    pub(super) fn of_slot(slot: usize) -> Holder {
        let number =
            u16::try_from(slot).ok().and_then(|slot| Holder::UNNAMED.0.checked_add(slot)?.checked_add(1));
        number.map_or(Holder::UNNAMED, Holder)
    }

    /// The slot, if it is known.
    pub(super) fn slot(self) -> Option<usize> {
        usize::from(self.0.get()).checked_sub(2)
    }
}

/// See the module's text.
pub(super) struct ShardLock {
    holder: AtomicU16,
}

// SAFETY: `lock` and `try_lock` return (with true) only after this thread has changed `holder` from nobody to somebody, and
// only `unlock`, which the holder calls, changes it back; acquire and release order what happens between.
unsafe impl RawMutex for ShardLock {
    type GuardMarker = GuardNoSend;

    const INIT: ShardLock = ShardLock { holder: AtomicU16::new(NOBODY) };

    fn lock(&self) {
        if !self.try_lock() {
            self.lock_slowly();
        }
    }

    fn try_lock(&self) -> bool {
        self.take(Holder::UNNAMED)
    }

    unsafe fn unlock(&self) {
        self.holder.store(NOBODY, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.holder().is_some()
    }
}

impl ShardLock {
    #[inline]
    fn take(&self, holder: Holder) -> bool {
        let taken =
            self.holder.compare_exchange(NOBODY, holder.0.get(), Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    fn holder(&self) -> Option<Holder> {
        NonZeroU16::new(self.holder.load(Ordering::Relaxed)).map(Holder)
    }

    #[cold]
    fn lock_slowly(&self) {
        wait(|| !self.is_locked() && self.try_lock(), |_| false);
    }
}

/// Locks a shard for this holder if that is possible at once.
#[inline]
pub(super) fn try_lock<T>(mutex: &Mutex<T>, holder: Holder) -> Option<MutexGuard<'_, T>> {
    // SAFETY: the lock is not released through this reference.
    let lock = unsafe { mutex.raw() };
    // SAFETY: this thread has taken the lock, and has no other guard of it.
    lock.take(holder).then(|| unsafe { mutex.make_guard_unchecked() })
}

/// Who holds a shard just now, if anybody does.
pub(super) fn holder<T>(mutex: &Mutex<T>) -> Option<Holder> {
    // SAFETY: as above.
    unsafe { mutex.raw() }.holder()
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
    holder: Holder,
    is_hopeless: impl Fn(Wait) -> bool,
) -> Option<MutexGuard<'_, T>> {
    let mut locked = None;
    let lock = || {
        locked = if mutex.is_locked() { None } else { try_lock(mutex, holder) };
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
