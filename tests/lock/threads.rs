//! The table as threads share it: one holder at a time, and no grant to a waiter that has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use quartet::clock::Now;
use quartet::delivery::Effects;
use quartet::lock::operation::{Acquire, Release, ReleaseMany};
use quartet::lock::{Asked, Locks, NoticeKind, Outcome};
use quartet::random::Random;

use super::table::ASKING;
use crate::support::process::wait_for;

const THREADS: u64 = 4;
const REQUESTS: usize = 5_000;
const RESOURCES: [&[u8]; 3] = [b"x", b"y", b"z"];

/// Wakes a thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A protected resource: its present holder, and the last fence.
#[derive(Default)]
struct Protected {
    present: AtomicU64,
    last_fence: AtomicU64,
}

impl Protected {
    fn visit(&self, fence: u64) {
        assert_eq!(self.present.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
        assert!(self.last_fence.swap(fence, Ordering::SeqCst) < fence, "an earlier fence came later");
        self.present.fetch_sub(1, Ordering::SeqCst);
    }
}

fn now() -> Now {
    Now::at(Duration::from_secs(1_000), Duration::from_secs(1_700_000_000))
}

/// Acquires and releases; one in four waiters leaves instead of waiting for the answer.
fn work(number: u64, locks: &Locks, protected: &[Protected; 3]) {
    let mut random = Random::with_seed(number);
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    let owner = number.to_string();
    for _ in 0..REQUESTS {
        let which = random.below(RESOURCES.len());
        let request = Acquire {
            owner: owner.as_bytes(),
            resources: &RESOURCES[which..=which],
            wait: 1_000_000,
            ..ASKING
        };
        let asked = locks.run(&request, now(), &mut Effects::default()).expect("it makes sense");
        let grant = match asked {
            Asked::Granted(grant) => grant,
            Asked::Waiting(ticket) if random.below(4) == 0 => {
                // Other threads may grant it at this moment.
                locks.cancel(&ticket, now(), &mut Effects::default());
                continue;
            }
            Asked::Waiting(ticket) => loop {
                match ticket.poll(&waker) {
                    Poll::Ready(answer) => match answer.outcome {
                        Outcome::Granted(grant) => break grant,
                        other => panic!("it was answered {other:?}"),
                    },
                    Poll::Pending => thread::park(),
                }
            },
            Asked::Busy | Asked::Deadlock(_) => panic!("an owner that holds nothing waits"),
        };
        protected[which].visit(grant.fence);
        let release = Release { resource: RESOURCES[which], owner: owner.as_bytes(), ..Release::default() };
        let left = locks.run(&release, now(), &mut Effects::default());
        assert_eq!(left, Ok(0));
    }
}

#[test]
fn one_holder_at_a_time_and_no_grant_to_a_waiter_that_left() {
    let (locks, protected) = (Locks::default(), <[Protected; 3]>::default());
    let first = Acquire { owner: b"first", resources: &RESOURCES, ..ASKING };
    let asked = locks.run(&first, now(), &mut Effects::default());
    assert!(matches!(asked, Ok(Asked::Granted(_))));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (locks, protected) = (&locks, &protected);
            scope.spawn(move || work(number, locks, protected));
        }
        // Whatever the system schedules, some thread has to wait.
        wait_for(|| (locks.counted().0.waiters > 0).then_some(()));
        let release = ReleaseMany { resources: &RESOURCES, owner: b"first", ..ReleaseMany::default() };
        let released = locks.run(&release, now(), &mut Effects::default());
        assert_eq!(released, Ok(3));
    });
    let (totals, counts) = locks.counted();
    assert_eq!((totals.leases, totals.waiters, totals.owners), (0, 0, 0));
    assert!(counts.waited > 0);
}

#[test]
fn notices_come_in_the_order_of_events() {
    let (locks, told) = (Locks::default(), Mutex::new(Vec::new()));
    let tell = |effects: Effects| {
        if effects.has_notices {
            locks.publish_notices(|notice| {
                // Another thread may come in between here.
                thread::yield_now();
                told.lock().push((notice.kind, notice.fence));
            });
        }
    };
    let listening = || {
        let mut effects = Effects::default();
        effects.wants_notices = true;
        effects
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (locks, tell) = (&locks, &tell);
            scope.spawn(move || {
                let owner = number.to_string();
                let request = Acquire { owner: owner.as_bytes(), resources: &[b"x"], ..ASKING };
                for _ in 0..REQUESTS / 5 {
                    let granted = || {
                        let mut effects = listening();
                        let asked = locks.run(&request, now(), &mut effects).expect("it makes sense");
                        tell(effects);
                        matches!(asked, Asked::Granted(_))
                    };
                    while !granted() {
                        thread::yield_now();
                    }
                    let mut effects = listening();
                    let release = Release { resource: b"x", owner: owner.as_bytes(), ..Release::default() };
                    let left = locks.run(&release, now(), &mut effects);
                    assert_eq!(left, Ok(0));
                    tell(effects);
                }
            });
        }
    });
    let told = told.into_inner();
    assert_eq!(told.len(), 2 * THREADS as usize * (REQUESTS / 5));
    for (pair, fence) in told.chunks(2).zip(1..) {
        assert_eq!(pair, [(NoticeKind::Acquired, fence), (NoticeKind::Released, fence)]);
    }
}
