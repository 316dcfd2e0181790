//! loom's primitives under the names that the modelled files use.

/// As `src/sync`.
pub(crate) mod sync {
    use std::sync::OnceLock;
    use std::task::Waker;
    use std::time::Duration;

    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64};
    pub(crate) use loom::thread::yield_now;
    pub(crate) use std::sync::atomic::Ordering;

    /// A number.  loom's can only be made while a model runs and locks are made in constants, so this one is made when it is first
    /// used, which a model does before it starts threads.
    pub(crate) struct AtomicU16 {
        initial: u16,
        number: OnceLock<loom::sync::atomic::AtomicU16>,
    }

    impl AtomicU16 {
        pub(crate) const fn new(initial: u16) -> AtomicU16 {
            AtomicU16 { initial, number: OnceLock::new() }
        }

        fn number(&self) -> &loom::sync::atomic::AtomicU16 {
            self.number.get_or_init(|| loom::sync::atomic::AtomicU16::new(self.initial))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> u16 {
            self.number().load(ordering)
        }

        pub(crate) fn store(&self, value: u16, ordering: Ordering) {
            self.number().store(value, ordering);
        }

        pub(crate) fn compare_exchange(
            &self,
            current: u16,
            new: u16,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u16, u16> {
            self.number().compare_exchange(current, new, success, failure)
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
