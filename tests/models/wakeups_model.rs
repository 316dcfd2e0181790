//! The list of woken connections: no wake-up is lost between a thread that wakes and a worker that falls asleep.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::parking::Parking;
use super::try_all_orders;
use super::wakeups::Wakeups;

/// A worker's steps between two looks at its list (`net/worker`).
fn wait_and_take(wakeups: &Wakeups, parking: &Parking, woken: &mut Vec<usize>) {
    if wakeups.fall_asleep() {
        parking.sleep();
    }
    wakeups.get_up();
    wakeups.take(woken);
}

/// A worker's list with the wakers of `connections`; all flags have been used once, as `primitives` asks for.
fn list(parking: &Arc<Parking>, connections: &[usize]) -> (Arc<Wakeups>, Vec<Waker>) {
    let wakeups = Wakeups::new(Arc::clone(parking));
    let wakers: Vec<Waker> = connections.iter().map(|&connection| wakeups.waker(connection)).collect();
    wakeups.get_up();
    wakers.iter().for_each(Waker::wake_by_ref);
    wakeups.take(&mut Vec::new());
    (wakeups, wakers)
}

/// Fails if [`Wakeups::fall_asleep`] looks at the list before it says that the worker sleeps, and if a wake asks whether the
/// worker sleeps before it puts the connection on the list.
#[test]
fn a_worker_that_falls_asleep_is_woken_for_every_connection() {
    try_all_orders(|| {
        let parking = Arc::new(Parking::new());
        let (wakeups, wakers) = list(&parking, &[1, 2]);
        let threads: Vec<_> =
            wakers.into_iter().map(|waker| thread::spawn(move || waker.wake_by_ref())).collect();
        let mut woken = Vec::new();
        while woken.len() < 2 {
            wait_and_take(&wakeups, &parking, &mut woken);
        }
        woken.sort_unstable();
        assert_eq!(woken, [1, 2]);
        for thread in threads {
            thread.join().expect("the thread only wakes");
        }
    });
}

/// Fails if the flag of a listed connection is relaxed, and if a wake that finds it set only looks at it.
#[test]
fn a_write_before_a_wake_is_seen_although_the_connection_was_listed_already() {
    try_all_orders(|| {
        let parking = Arc::new(Parking::new());
        let (wakeups, wakers) = list(&parking, &[1]);
        let messages = Arc::new(AtomicUsize::new(0));
        let sender = {
            let messages = Arc::clone(&messages);
            thread::spawn(move || {
                for number in 1..=2 {
                    messages.store(number, Relaxed);
                    wakers[0].wake_by_ref();
                }
            })
        };
        let (mut seen, mut woken) = (0, Vec::new());
        while seen < 2 {
            wait_and_take(&wakeups, &parking, &mut woken);
            if !woken.is_empty() {
                seen = messages.load(Relaxed);
                woken.clear();
            }
        }
        sender.join().expect("the sender ends");
    });
}
