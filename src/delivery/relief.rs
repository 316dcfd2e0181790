//! Who gives way when all waiting messages together are too much: the receiver furthest behind meets its policy first.
//!
//! Receivers are only looked through once the budget is exceeded, and then an eighth of it is freed.  A receiver whose policy
//! is to be disconnected is; others drop messages.  What is formatted cannot be dropped, and a message that a socket has
//! taken a part of has to be finished: if such bytes alone are too much, the receivers that hold them longest are disconnected
//! whatever their policy.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::Outbox;
use super::backlog::Backlog;
use super::outbox::GivenUp;

/// A receiver that gives way drops such a share of the time that it is behind at once, so that many receivers which are
/// equally far behind are not looked at for each message.
const STEP_SHARE: u64 = 16;

/// The age of what a receiver holds, and its bytes: the smallest comes first.
type Held = (u64, Reverse<usize>);

/// Has receivers give way until enough is free, and adds those that were disconnected to `closed`, for them to be woken.  Another
/// thread that does so already is left to it.
pub(super) fn relieve(backlog: &Arc<Backlog>, closed: &mut Vec<Arc<Outbox>>) {
    let Some(_relief) = backlog.relief.try_lock() else { return };
    let receivers = backlog.take_behind();
    let mut relief = Relief { backlog, freeing: 0, closed };
    relief.give_way(&receivers);
    relief.give_up(&receivers);
    receivers
        .iter()
        .filter(|receiver| receiver.stays_noted())
        .for_each(|receiver| backlog.note_behind(receiver));
    backlog.budget.settle();
}

/// What was freed so far, and by whom.
struct Relief<'r> {
    backlog: &'r Arc<Backlog>,
    /// Bytes that are free once the threads of those that were disconnected have noticed.
    freeing: usize,
    closed: &'r mut Vec<Arc<Outbox>>,
}

impl Relief<'_> {
    fn is_enough(&self) -> bool {
        self.backlog.budget.has_recovered(self.freeing)
    }

    /// Notes what a receiver has given up; whether it may have more to give.
    fn note(&mut self, receiver: &Arc<Outbox>, given_up: GivenUp) -> bool {
        if let GivenUp::Connection(bytes) = given_up {
            self.freeing += bytes;
            self.closed.push(Arc::clone(receiver));
        }
        matches!(given_up, GivenUp::Messages)
    }

    fn disconnect(&mut self, receiver: &Arc<Outbox>) {
        let given_up = receiver.give_up_connection(self.backlog);
        self.note(receiver, given_up);
    }

    /// Has the receiver furthest behind meet its policy, again and again.
    fn give_way(&mut self, receivers: &[Arc<Outbox>]) {
        let backlog = self.backlog;
        // Of those that are equally far behind, one that reads holds less than one that does not.
        let standing = |place: usize| {
            let since = receivers[place].waiting_since(backlog)?;
            Some((Reverse(since), receivers[place].held(), place))
        };
        let mut furthest: BinaryHeap<_> = (0..receivers.len()).filter_map(standing).collect();
        let mut holders = holders(receivers, backlog);
        while !self.is_enough()
            && let Some((Reverse(since), held, place)) = furthest.pop()
        {
            let receiver = &receivers[place];
            // Nobody ends before those that were stalled longer, although these may miss messages: they have no more to give.
            if receiver.ends_if_it_gives_way(backlog)
                && let Some((_, holder)) = holders.pop_if(|(holds, _)| *holds < (since, Reverse(held)))
            {
                self.disconnect(holder);
                furthest.extend(standing(place));
                continue;
            }
            let step = backlog.budget.kept().saturating_sub(since) / STEP_SHARE;
            let next = furthest.peek().map_or(u64::MAX, |(Reverse(since), ..)| *since);
            let given_up = receiver.give_way(next.max(since + step), self.freeing, backlog);
            if self.note(receiver, given_up) {
                furthest.extend(standing(place));
            }
        }
    }

    /// Disconnects those that hold formatted bytes: those that hold them longest first, and of these the ones that hold most.
    fn give_up(&mut self, receivers: &[Arc<Outbox>]) {
        if self.is_enough() {
            return;
        }
        let mut longest: Vec<&Arc<Outbox>> = receivers.iter().collect();
        longest.sort_by_cached_key(|receiver| (receiver.unsent_since(), Reverse(receiver.held())));
        for receiver in longest {
            if self.is_enough() {
                return;
            }
            self.disconnect(receiver);
        }
    }
}

/// Those that may miss messages and yet hold bytes that they cannot drop, with the age of the oldest and their number.  The
/// last has held most of them longest.
fn holders<'r>(receivers: &'r [Arc<Outbox>], backlog: &Backlog) -> Vec<(Held, &'r Arc<Outbox>)> {
    let mut holders: Vec<(Held, &Arc<Outbox>)> = receivers
        .iter()
        .filter(|receiver| !receiver.ends_if_it_gives_way(backlog))
        .filter_map(|receiver| Some(((receiver.holding_since()?, Reverse(receiver.held())), receiver)))
        .collect();
    holders.sort_unstable_by_key(|(held, _)| Reverse(*held));
    holders
}
