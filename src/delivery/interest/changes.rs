//! What tells a thread whether the lookups that it remembers still hold.
//!
//! A lookup depends on the exact subject, on the wildcards and globs that name its first token, and on those that may match
//! any first token.  Each of the three has a generation, a number that rises with each change; many subjects share one.
//! Changes to other first tokens, and exact subscriptions to other subjects, leave a remembered lookup alone.
//!
//! Answers to requests come on inbox subjects, each of which is used once.  No thread remembers them, so subscriptions that
//! can match nothing else change no generation.

use crossbeam_utils::CachePadded;
use quartet_protocol::broker::subject;

use crate::sync::{AtomicU64, Ordering};

/// Generations of exact subjects.  A server to which 10,000 subjects a second come and go ends each remembered lookup ten
/// times a second without need, which is little; four times as many would not stay in the processor's nearest cache.
const SUBJECT_SLOTS: usize = 1024;

/// Generations of first tokens.
const FIRST_TOKEN_SLOTS: usize = 1024;

/// See the module's text.
pub(super) struct Generations {
    subjects: Box<[AtomicU64]>,
    first_tokens: Box<[AtomicU64]>,
    any: CachePadded<AtomicU64>,
}

/// The generations of a subject.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    pub(super) subject: u16,
    pub(super) first_token: u16,
}

impl Default for Generations {
    fn default() -> Generations {
        let slots = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Generations {
            subjects: slots(SUBJECT_SLOTS),
            first_tokens: slots(FIRST_TOKEN_SLOTS),
            any: CachePadded::new(AtomicU64::new(0)),
        }
    }
}

impl Slots {
    /// By the hashes of a subject and of its first token.
    pub(super) fn of(hash: u64, first_hash: u64) -> Slots {
        Slots {
            subject: (hash >> 32) as u16 % SUBJECT_SLOTS as u16,
            first_token: (first_hash >> 32) as u16 % FIRST_TOKEN_SLOTS as u16,
        }
    }
}

impl Generations {
    /// The sum of a subject's generations.  Each of them only rises, so the sum is the same as long as none has changed.
    #[inline]
    pub(super) fn sum(&self, slots: Slots) -> u64 {
        let Slots { subject, first_token } = slots;
        // Acquire: a thread that sees a new generation sees the change that it stands for.
        let generations =
            [&self.subjects[usize::from(subject)], &self.first_tokens[usize::from(first_token)], &self.any];
        generations
            .map(|generation| generation.load(Ordering::Acquire))
            .iter()
            .fold(0, |sum, one| sum.wrapping_add(*one))
    }

    /// Notes that the subscriptions to an exact subject have changed.  To be called after the change, as the others.
    pub(super) fn change_subject(&self, text: &[u8], hash: u64) {
        if !is_in_inbox(text) {
            rise(&self.subjects[usize::from(Slots::of(hash, 0).subject)]);
        }
    }

    /// Notes that the subscriptions to a wildcard or glob have changed that names its first token.
    pub(super) fn change_first_token(&self, first_token: &[u8], first_hash: u64) {
        if first_token != subject::INBOX {
            rise(&self.first_tokens[usize::from(Slots::of(0, first_hash).first_token)]);
        }
    }

    /// Notes that the subscriptions to another wildcard or glob have changed.
    pub(super) fn change_any(&self) {
        rise(&self.any);
    }
}

fn rise(generation: &AtomicU64) {
    generation.fetch_add(1, Ordering::Release);
}

/// Whether lookups of the subject are not remembered.
pub(super) fn is_in_inbox(subject: &[u8]) -> bool {
    subject.first() == subject::INBOX.first() && subject::first_token(subject) == subject::INBOX
}
