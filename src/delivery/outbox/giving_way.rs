//! What a receiver gives up when all waiting messages together are too much; `delivery/relief` says whose turn it is.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Bound, Contents, Outbox};
use crate::delivery::backlog::Backlog;
use crate::lock_order::MutexGuard;
use crate::settings::SlowConsumer;

/// What a receiver gave up when all waiting messages were too much.
pub(in crate::delivery) enum GivenUp {
    /// Messages.
    Messages,
    /// Itself: so many bytes are free once its thread has noticed.
    Connection(usize),
    /// Nothing: it has nothing that it could do without.
    Nothing,
}

impl Outbox {
    /// The bytes by which it counts in the budget of all messages, besides the messages that others may hold too.
    pub(in crate::delivery) fn held(&self) -> usize {
        self.queue_account.bytes() + self.unsent_account.bytes()
    }

    /// The age of what waits longest for the receiver and may have to give way, as the number of a message; none if it
    /// holds little.
    pub(in crate::delivery) fn waiting_since(&self, backlog: &Backlog) -> Option<u64> {
        let bound = self.bound(backlog);
        let contents = self.queue.lock();
        if self.is_closing() || !self.holds_much() {
            return None;
        }
        let first = contents.queue.first_entry(&bound);
        if let Some((number, policy)) = first
            && policy != SlowConsumer::Disconnect
        {
            return Some(number);
        }
        if bound.policy != SlowConsumer::Disconnect && first.is_none() {
            // Only what is formatted waits: it cannot be dropped.
            return None;
        }
        self.oldest(&contents)
    }

    /// The age of what waits longest, whether or not it may give way, as the number of a message; none if nothing waits that
    /// the budget counts for this receiver alone.
    pub(in crate::delivery) fn holding_since(&self) -> Option<u64> {
        let contents = self.queue.lock();
        if self.is_closing() || self.held() == 0 {
            return None;
        }
        self.oldest(&contents)
    }

    fn oldest(&self, contents: &Contents) -> Option<u64> {
        let unsent = (self.unsent() > 0).then(|| self.unsent_since.load(Relaxed));
        unsent.into_iter().chain(contents.queue.oldest()).min()
    }

    /// Whether it is to be found among those that are behind.  If not, it is noted again when it falls behind.
    pub(in crate::delivery) fn stays_noted(&self) -> bool {
        let mut contents = self.queue.lock();
        contents.is_noted = self.holds_much() && !self.is_closing();
        contents.is_noted
    }

    /// Has the receiver's policy act on its messages up to number `until`, as long as all waiting messages are too much;
    /// `freeing` bytes are about to be freed elsewhere.
    pub(in crate::delivery) fn give_way(
        &self,
        until: u64,
        freeing: usize,
        backlog: &Arc<Backlog>,
    ) -> GivenUp {
        let bound = self.bound(backlog);
        let mut contents = self.queue.lock();
        if next_policy(&contents, &bound) == SlowConsumer::Disconnect {
            return self.give_up(contents, backlog);
        }
        let queue = &mut contents.queue;
        let before = queue.missed;
        queue.keep_latest_if_wanted(&bound);
        let is_needed = || !backlog.budget.has_recovered(freeing);
        while is_needed()
            && let Some((number, policy)) = queue.first_entry(&bound)
            && number <= until
        {
            let is_dropped = match policy {
                SlowConsumer::DropNewest => queue.drop_last(),
                _ => queue.drop_first_of(&bound),
            };
            if !is_dropped {
                break;
            }
        }
        queue.end_gaps();
        let has_dropped = queue.missed > before;
        self.note_missed(&mut contents, None, backlog);
        self.note_waiting(&mut contents, backlog);
        if has_dropped { GivenUp::Messages } else { GivenUp::Nothing }
    }

    /// Has the receiver end, since all waiting messages are too much and it cannot do without any of its own.
    pub(in crate::delivery) fn give_up_connection(&self, backlog: &Arc<Backlog>) -> GivenUp {
        let contents = self.queue.lock();
        if self.is_closing() || !self.holds_much() {
            return GivenUp::Nothing;
        }
        self.give_up(contents, backlog)
    }

    /// When the bytes that its connection holds began to wait, as the number of a message.
    pub(in crate::delivery) fn unsent_since(&self) -> u64 {
        self.unsent_since.load(Relaxed)
    }

    fn give_up(&self, mut contents: MutexGuard<'_, Contents>, backlog: &Arc<Backlog>) -> GivenUp {
        self.cut_off();
        let dropped = mem::take(&mut contents.queue);
        self.note_missed(&mut contents, Some(SlowConsumer::Disconnect), backlog);
        self.note_waiting(&mut contents, backlog);
        drop(contents);
        drop(dropped);
        GivenUp::Connection(self.unsent())
    }

    /// Whether giving way is its end: it may not miss anything, or is the next to miss something that it may not.
    pub(in crate::delivery) fn ends_if_it_gives_way(&self, backlog: &Backlog) -> bool {
        let bound = self.bound(backlog);
        next_policy(&self.queue.lock(), &bound) == SlowConsumer::Disconnect
    }
}

/// The policy of the first message that may have to give way, or of the receiver if there is none.
fn next_policy(contents: &Contents, bound: &Bound) -> SlowConsumer {
    contents.queue.first_entry(bound).map_or(bound.policy, |(_, policy)| policy)
}
