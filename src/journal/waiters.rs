//! The tasks that wait for a sync.

use std::collections::HashMap;
use std::task::Waker;

use crate::wait::Position;

/// The wakers left, one per task however often it asks, so that their number is that of the tasks.
#[derive(Default)]
pub(super) struct Waiters {
    /// By the address that a waker points to, which lives as long as the waker.
    wakers: HashMap<(usize, usize), (Position, Waker)>,
}

impl Waiters {
    /// Wakes `waker` when `position` is on the disk.  A task that waits for two positions hears of the first.
    pub(super) fn insert(&mut self, position: Position, waker: &Waker) {
        let identity = (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr());
        let (first, _) = self.wakers.entry(identity).or_insert_with(|| (position, waker.clone()));
        *first = position.min(*first);
    }

    /// Takes out the wakers of all that wait for `position` or less.
    pub(super) fn take_up_to(&mut self, position: Position) -> Vec<Waker> {
        self.wakers.extract_if(|_, (waited, _)| *waited <= position).map(|(_, (_, waker))| waker).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        self.wakers.drain().map(|(_, (_, waker))| waker).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_task_waits_once_for_the_first_of_its_positions() {
        let (one, other) = (Waker::from(Arc::new(Task)), Waker::from(Arc::new(Task)));
        let mut waiters = Waiters::default();
        for position in [7, 5, 9] {
            waiters.insert(Position(position), &one);
        }
        waiters.insert(Position(6), &other);
        assert!(waiters.take_up_to(Position(4)).is_empty());
        let woken = waiters.take_up_to(Position(5));
        assert!(woken.len() == 1 && woken[0].will_wake(&one));
        assert!(waiters.take_all()[0].will_wake(&other));
        assert!(waiters.take_all().is_empty());
    }
}
