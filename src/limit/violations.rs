//! Recent refusals by key, so that keys that a policy refuses again and again can be blocked.
//!
//! The refusals of a key are counted exactly, from the first of them on and for as long as the policy says.  Memory is bounded:
//! if too many keys are refused at the same time, the keys with the fewest refusals are forgotten and start again from none.

use std::hash::{BuildHasher, RandomState};

use super::algorithm::Nanos;
use crate::lock_order::{Mutex, rank};

/// Groups of keys, by their hashes.
const GROUPS: usize = 1_024;

/// The most keys that are followed in a group.
const KEYS_PER_GROUP: usize = 8;

/// When a key is blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockAfter {
    /// The number of refusals that lead to a block …
    pub refusals: u32,
    /// … within this time from the first of them on.
    pub within: Nanos,
    /// How long the key is blocked.
    pub span: Nanos,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub struct Violations {
    /// Empty until the first refusal.
    groups: Mutex<Vec<Vec<Violator>>, { rank::VIOLATIONS }>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Violator {
    key: Box<[u8]>,
    first_at: Nanos,
    refusals: u32,
}

impl Violations {
    /// Counts a refusal of a key.  True if the key is to be blocked; its count starts again then.
    pub fn count(&self, key: &[u8], rule: &BlockAfter, now: Nanos) -> bool {
        let group = (self.hasher.hash_one(key) % GROUPS as u64) as usize;
        let mut groups = self.groups.lock();
        if groups.is_empty() {
            groups.resize_with(GROUPS, Vec::new);
        }
        let group = &mut groups[group];
        group.retain(|violator| now.saturating_sub(violator.first_at) < rule.within);
        let position = group.iter().position(|violator| *violator.key == *key).unwrap_or_else(|| {
            if group.len() == KEYS_PER_GROUP {
                let fewest = (0..KEYS_PER_GROUP).min_by_key(|position| group[*position].refusals);
                group.remove(fewest.expect("a group has room for a key"));
            }
            group.push(Violator { key: key.into(), first_at: now, refusals: 0 });
            group.len() - 1
        });
        group[position].refusals += 1;
        let is_due = group[position].refusals >= rule.refusals;
        if is_due {
            group.remove(position);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BlockAfter = BlockAfter { refusals: 3, within: 10, span: 100 };

    #[test]
    fn refusals_count_from_the_first_of_them_on() {
        let violations = Violations::default();
        let counted = |timestamps: &[Nanos]| -> Vec<bool> {
            timestamps.iter().map(|timestamp| violations.count(b"key", &RULE, *timestamp)).collect()
        };
        assert_eq!(counted(&[0, 5, 9]), [false, false, true]);
        assert_eq!(counted(&[10, 15, 20, 25, 29]), [false, false, false, false, true]);
        assert_eq!(counted(&[29]), [false], "it begins anew");
    }

    #[test]
    fn many_keys_do_not_hide_one_that_is_refused_more_often() {
        let violations = Violations::default();
        assert!(!violations.count(b"worst", &RULE, 0));
        assert!(!violations.count(b"worst", &RULE, 0));
        for number in 0..100_000_u32 {
            assert!(!violations.count(&number.to_le_bytes(), &RULE, 1));
        }
        assert!(violations.count(b"worst", &RULE, 2));
        let groups = violations.groups.lock();
        assert!(groups.iter().all(|group| group.len() <= KEYS_PER_GROUP));
    }

    #[test]
    fn one_refusal_can_be_enough() {
        let violations = Violations::default();
        assert!(violations.count(b"key", &BlockAfter { refusals: 1, ..RULE }, 0));
    }
}
