//! The memory of all messages that wait: what each part of it takes, and how much there may be.
//!
//! A message that waits for many receivers is counted once, for as long as any of them holds it, even if only a part of its
//! payload is still to be written to a socket.  Beside messages, the budget counts the places that they take in queues and
//! the bytes that are formatted and not written yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// Bytes of queues and of formatted messages are counted in steps of so many for each receiver.  So a receiver that keeps
/// up does not touch the common count.
const STEP: usize = 16 * 1024;

/// Once the budget was exceeded, memory is freed until an eighth of it is free: so finding out whose messages to drop is not
/// done for each new message.
const FREED_SHARE: usize = 8;

/// If receivers that were cut off have not freed their memory yet, this share of the limit may be added before others have
/// to give way.
const PATIENCE_SHARE: usize = 32;

/// One turn of a publisher may add such a share of the limit, and so many bytes at most.
const TURN_SHARE: usize = 8;
const TURN_MAX: usize = 16 << 20;

/// See the module's text.
#[derive(Default)]
pub(super) struct Budget {
    /// The most bytes; 0 for no limit.
    limit: AtomicUsize,
    used: AtomicUsize,
    /// Receivers have to give way when so many bytes are used; 0 if that is at the limit.
    postponed_to: AtomicUsize,
    /// Messages that were kept so far.
    kept: AtomicU64,
}

/// A part of the budget, which is given back when this is dropped.
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

/// A part of the budget that changes with what is held.
#[derive(Default)]
pub(super) struct Account(AtomicUsize);

impl Budget {
    /// Sets the most bytes; 0 for no limit.
    pub(super) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Relaxed);
        self.postponed_to.store(0, Relaxed);
    }

    /// Bytes that are used.
    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// How many messages were kept so far: the number of the last one.  Ages of messages are compared by it.
    pub(super) fn kept(&self) -> u64 {
        self.kept.load(Relaxed)
    }

    /// The number of a message that is kept now.
    pub(super) fn number(&self) -> u64 {
        self.kept.fetch_add(1, Relaxed) + 1
    }

    /// Takes a part of the budget, whether or not there is room.
    pub(super) fn charge(self: &Arc<Budget>, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Relaxed);
        Charge { budget: Arc::clone(self), bytes }
    }

    /// The same bytes, which count until their last owner is gone.
    pub(super) fn charge_payload(self: &Arc<Budget>, payload: Bytes) -> Bytes {
        Bytes::from_owner(ChargedPayload { _charge: self.charge(payload.len()), payload })
    }

    /// How much one turn of a publisher may add to it: a small share, so that receivers which read have their turns before it
    /// is used up.
    pub(super) fn turn_share(&self) -> usize {
        let limit = self.limit.load(Relaxed);
        if limit == 0 { TURN_MAX } else { TURN_MAX.min(limit / TURN_SHARE) }
    }

    /// Whether half of the budget is used.
    pub(super) fn is_tight(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && self.used() > limit / 2
    }

    /// Whether receivers have to give way.
    pub(super) fn is_exceeded(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && self.used() > limit.max(self.postponed_to.load(Relaxed))
    }

    /// Whether enough memory is free again, or will be once `freeing` bytes are given back that are on their way.
    pub(super) fn has_recovered(&self, freeing: usize) -> bool {
        let limit = self.limit.load(Relaxed);
        self.used().saturating_sub(freeing) <= limit - limit / FREED_SHARE
    }

    /// Notes that receivers have given way as far as they can for now.
    pub(super) fn settle(&self) {
        let (limit, used) = (self.limit.load(Relaxed), self.used());
        let postponed_to = if used > limit { used + limit / PATIENCE_SHARE } else { 0 };
        self.postponed_to.store(postponed_to, Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

impl Account {
    /// Sets how many bytes are held.  To be called by one thread at a time.
    pub(super) fn set(&self, bytes: usize, budget: &Budget) {
        let (before, now) = (self.0.load(Relaxed), bytes - bytes % STEP);
        if now == before {
            return;
        }
        self.0.store(now, Relaxed);
        if now > before {
            budget.used.fetch_add(now - before, Relaxed);
        } else {
            budget.used.fetch_sub(before - now, Relaxed);
        }
    }

    /// The bytes that count.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A payload with its part of the budget.
struct ChargedPayload {
    payload: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for ChargedPayload {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_counts_until_its_last_part_is_gone() {
        let budget = Arc::<Budget>::default();
        let payload = budget.charge_payload(Bytes::from(vec![b'x'; 5000]));
        let part = payload.slice(4990..);
        drop(payload);
        assert_eq!((budget.used(), part.len()), (5000, 10));
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn small_amounts_do_not_touch_the_count() {
        let (budget, account) = (Budget::default(), Account::default());
        for (bytes, used) in
            [(STEP - 1, 0), (STEP, STEP), (3 * STEP + 5, 3 * STEP), (2 * STEP, 2 * STEP), (7, 0)]
        {
            account.set(bytes, &budget);
            assert_eq!((budget.used(), account.bytes()), (used, used));
        }
    }

    #[test]
    fn receivers_give_way_at_the_limit_and_then_only_for_more() {
        let budget = Arc::<Budget>::default();
        let all = budget.charge(1 << 30);
        assert!(!budget.is_exceeded() && !budget.is_tight(), "there is no limit yet");
        budget.set_limit(1 << 20);
        assert!(budget.is_exceeded() && !budget.has_recovered(1 << 20));
        assert!(budget.has_recovered(1 << 30));
        // Nothing more can be freed now.
        budget.settle();
        assert!(!budget.is_exceeded());
        let _more = budget.charge((1 << 20) / PATIENCE_SHARE + 1);
        assert!(budget.is_exceeded());
        drop(all);
        budget.settle();
        assert!(!budget.is_exceeded());
        let _all = budget.charge(1 << 20);
        assert!(budget.is_exceeded());
    }
}
