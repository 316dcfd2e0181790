//! loom's primitives under the names that the modelled files use.

/// As `src/sync`.
pub(crate) mod sync {
    use std::sync::OnceLock;
    use std::task::Waker;
    use std::time::Duration;

    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::AtomicU64;
    pub(crate) use loom::thread::yield_now;
    pub(crate) use std::sync::atomic::Ordering;

    /// A flag.  loom's can only be made while a model runs and locks are made in constants, so this one is made when it
    /// is first used, which a model does before it starts threads.
    pub(crate) struct AtomicBool {
        initial: bool,
        flag: OnceLock<loom::sync::atomic::AtomicBool>,
    }

    impl AtomicBool {
        pub(crate) const fn new(initial: bool) -> AtomicBool {
            AtomicBool { initial, flag: OnceLock::new() }
        }

        fn flag(&self) -> &loom::sync::atomic::AtomicBool {
            self.flag.get_or_init(|| loom::sync::atomic::AtomicBool::new(self.initial))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> bool {
            self.flag().load(ordering)
        }

        pub(crate) fn store(&self, value: bool, ordering: Ordering) {
            self.flag().store(value, ordering);
        }

        pub(crate) fn swap(&self, value: bool, ordering: Ordering) -> bool {
            if ordering == Ordering::Acquire {
                // One that changes nothing is then no more than a load.  loom would let it come after a later plain
                // store, and a waiter that spins would wait for ever.
                let changed = self.flag().compare_exchange(!value, value, ordering, Ordering::Relaxed);
                return if changed.is_ok() { !value } else { value };
            }
            self.flag().swap(value, ordering)
        }
    }

    /// As the crate `atomic_waker`'s: registering and waking have an order, whichever it is.
    pub(crate) struct AtomicWaker(loom::sync::Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(crate) fn new() -> AtomicWaker {
            AtomicWaker(loom::sync::Mutex::new(None))
        }

        pub(crate) fn register(&self, waker: &Waker) {
            *self.0.lock().expect("no model panics") = Some(waker.clone());
        }

        pub(crate) fn wake(&self) {
            let waker = self.0.lock().expect("no model panics").take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Time does not pass in a model: others run.
    pub(crate) fn nap(_duration: Duration) {
        yield_now();
    }
}

/// As `src/lock_order`.
pub(crate) mod lock_order {
    pub(crate) mod rank {
        pub(crate) const MAILBOX: u8 = 0;
        pub(crate) const WOKEN: u8 = 1;
    }

    pub(crate) struct Mutex<T, const RANK: u8>(loom::sync::Mutex<T>);

    impl<T, const RANK: u8> Mutex<T, RANK> {
        pub(crate) fn new(value: T) -> Mutex<T, RANK> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no model panics")
        }
    }
}

/// As `src/net/poll_waker`: the worker waits for nothing else.
pub(crate) mod poll_waker {
    use std::sync::Arc;

    use crate::parking::Parking;

    pub(crate) type PollWaker = Arc<Parking>;
}
