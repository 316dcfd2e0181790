//! Who is not limited at all, and who is always refused: patterns for good, and blocks for a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::algorithm::{InvalidParameter, Nanos};
use super::keeping::Keeping;
use super::policy::{KEY_LENGTH_MAX, Listed, PATTERNS_MAX, Policy};
use super::records::Record;
use crate::glob;
use crate::lock_order::{RwLock, rank};

/// The most keys that can be blocked at a time.
pub const BLOCKS_MAX: usize = 100_000;

/// See the head of the file.  These hold under every policy; a policy can have lists of its own besides.
pub struct Lists {
    entries: RwLock<Entries, { rank::LIMIT_LISTS }>,
    /// How many entries there are, so that a check can see without a lock that there are none.
    count: AtomicUsize,
    keeping: Arc<Keeping>,
}

#[derive(Default)]
struct Entries {
    allow: Vec<Box<[u8]>>,
    deny: Vec<Box<[u8]>>,
    /// Until when.
    blocks: HashMap<Box<[u8]>, Nanos>,
}

/// Which of the two lists of patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListName {
    /// Keys that are never limited.
    Allow,
    /// Keys that are always refused.
    Deny,
}

/// How a key stands before any limit is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The limits decide.
    Limited,
    /// It is let through.
    Unlimited,
    /// It is refused for good.
    Denied,
    /// It is refused for so long.
    Blocked {
        /// Nanoseconds until the end of the block.
        retry_after: Nanos,
    },
}

impl Lists {
    /// Lists with nothing on them; what is put there is kept as `keeping` says.
    pub(super) fn new(keeping: Arc<Keeping>) -> Lists {
        Lists { entries: RwLock::default(), count: AtomicUsize::new(0), keeping }
    }

    /// How a key stands under a policy.  A block goes before all, and to be refused before to be let through.
    pub fn standing(&self, key: &[u8], policy: Option<&Policy>, now: Nanos) -> Standing {
        let own = policy.map_or(Listed::No, |policy| policy.listed(key));
        let common = if self.count.load(Relaxed) == 0 { Standing::Limited } else { self.common(key, now) };
        match (common, own) {
            (Standing::Denied | Standing::Blocked { .. }, _) => common,
            (_, Listed::Denied) => Standing::Denied,
            (Standing::Unlimited, _) | (_, Listed::Allowed) => Standing::Unlimited,
            (Standing::Limited, Listed::No) => Standing::Limited,
        }
    }

    fn common(&self, key: &[u8], now: Nanos) -> Standing {
        let entries = self.entries.read();
        let on = |list: &[Box<[u8]>]| list.iter().any(|pattern| glob::matches(pattern, key));
        let blocked = entries.blocks.get(key).filter(|until| **until > now);
        match blocked {
            Some(until) => Standing::Blocked { retry_after: until - now },
            None if on(&entries.deny) => Standing::Denied,
            None if on(&entries.allow) => Standing::Unlimited,
            None => Standing::Limited,
        }
    }

    /// Puts a pattern on a list; false if it was there.
    ///
    /// # Errors
    /// If the pattern or the list is too long.
    pub fn add(&self, list: ListName, pattern: &[u8]) -> Result<bool, InvalidParameter> {
        self.change(|entries| {
            let patterns = entries.list(list);
            if patterns.iter().any(|other| **other == *pattern) {
                return Ok(false);
            }
            within("the length of a pattern", pattern.len(), KEY_LENGTH_MAX)?;
            within("the number of patterns", patterns.len() + 1, PATTERNS_MAX)?;
            patterns.push(pattern.into());
            self.keeping.write([Record::Listed { list, pattern }]);
            Ok(true)
        })
    }

    /// Takes a pattern off a list; false if it was not there.
    pub fn remove(&self, list: ListName, pattern: &[u8]) -> bool {
        self.change(|entries| {
            let patterns = entries.list(list);
            let before = patterns.len();
            patterns.retain(|other| **other != *pattern);
            let is_removed = patterns.len() < before;
            if is_removed {
                self.keeping.write([Record::Unlisted { list, pattern }]);
            }
            is_removed
        })
    }

    /// The patterns of a list, in the order in which they came.
    pub fn patterns(&self, list: ListName) -> Vec<Box<[u8]>> {
        let entries = self.entries.read();
        if list == ListName::Allow { entries.allow.clone() } else { entries.deny.clone() }
    }

    /// Refuses a key until a moment; a moment that has passed ends a block.
    ///
    /// # Errors
    /// If the key is too long, or too many are blocked.
    pub fn block(&self, key: &[u8], until: Nanos, now: Nanos) -> Result<(), InvalidParameter> {
        self.change(|entries| {
            entries.blocks.retain(|_, until| *until > now);
            if until <= now {
                if entries.blocks.remove(key).is_some() {
                    self.keeping.write([Record::Unblocked { key }]);
                }
                return Ok(());
            }
            let is_new = !entries.blocks.contains_key(key);
            within("the length of a key", key.len(), KEY_LENGTH_MAX)?;
            within("the number of blocked keys", entries.blocks.len() + usize::from(is_new), BLOCKS_MAX)?;
            entries.blocks.insert(key.into(), until);
            self.keeping.write([Record::Blocked { until, key }]);
            Ok(())
        })
    }

    /// Puts patterns and blocks there that an earlier server had; they were no more than are allowed.
    pub fn restore(&self, allow: Vec<Box<[u8]>>, deny: Vec<Box<[u8]>>, blocks: HashMap<Box<[u8]>, Nanos>) {
        self.change(|entries| *entries = Entries { allow, deny, blocks });
    }

    /// Gives `write` all that is on the lists, as records, while nobody changes them.
    pub fn each_record(&self, mut write: impl FnMut(Record<'_>)) {
        let entries = self.entries.read();
        for (list, patterns) in [(ListName::Allow, &entries.allow), (ListName::Deny, &entries.deny)] {
            patterns.iter().for_each(|pattern| write(Record::Listed { list, pattern }));
        }
        entries.blocks.iter().for_each(|(key, until)| write(Record::Blocked { until: *until, key }));
    }

    fn change<R>(&self, change: impl FnOnce(&mut Entries) -> R) -> R {
        let mut entries = self.entries.write();
        let result = change(&mut entries);
        self.count.store(entries.allow.len() + entries.deny.len() + entries.blocks.len(), Relaxed);
        result
    }
}

impl Entries {
    fn list(&mut self, list: ListName) -> &mut Vec<Box<[u8]>> {
        if list == ListName::Allow { &mut self.allow } else { &mut self.deny }
    }
}

fn within(what: &'static str, length: usize, most: usize) -> Result<(), InvalidParameter> {
    if length <= most {
        return Ok(());
    }
    let (value, allowed) = (length.to_string(), format!("at most {most}"));
    Err(InvalidParameter { parameter: what, value, allowed })
}
