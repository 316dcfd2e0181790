//! The lock of a shard: it has one holder at a time, which sees the writes of all earlier holders.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::shard_lock::Mutex;
use super::try_all_orders;

/// Fails if taking or releasing the lock is relaxed.
#[test]
fn a_holder_is_alone_and_sees_earlier_writes() {
    try_all_orders(|| {
        let count = Arc::new(Mutex::new(UnsafeCell::new(0)));
        let increment = |count: &Mutex<UnsafeCell<i32>>| {
            count.lock().with_mut(|count| {
                // SAFETY: the lock is held, and loom reports a race if that is not enough.
                unsafe { *count += 1 }
            });
        };
        increment(&count);
        let threads = [1, 2].map(|_| {
            let count = Arc::clone(&count);
            thread::spawn(move || increment(&count))
        });
        for thread in threads {
            thread.join().expect("the thread only counts");
        }
        // SAFETY: as above.
        assert_eq!(count.lock().with(|count| unsafe { *count }), 3);
    });
}
