//! Keys that are never limited, and keys that are always refused: by patterns, and by blocks for a time.
//!
//! Precedence: block, deny, allow.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::address::{self, IPV6_PREFIX_DEFAULT, Network};
use super::algorithm::{InvalidParameter, Nanos};
use super::pattern::{Pattern, host_of};
use super::persistence::{Persistence, Record};
use super::policy::{Listed, PATTERNS_MAX, Policy, checked_key};
use crate::lock_order::{RwLock, rank};

/// The most keys that can be blocked at a time.
pub const BLOCKS_MAX: usize = 100_000;

/// With fewer blocks than this, blocks that have ended may stay.
const LOOK_LENGTH_MIN: usize = 1_000;

/// See the head of the file.  These lists hold under every policy; a policy may have its own lists too.
pub struct Lists {
    entries: RwLock<Entries, { rank::LIMIT_LISTS }>,
    /// The number of entries, so that a check sees without a lock that there are none.
    count: AtomicUsize,
    persistence: Arc<Persistence>,
    /// Bits of an IPv6 address that tell hosts apart.
    pub(super) ipv6_prefix: u8,
}

#[derive(Default)]
struct Entries {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    /// The end of each block by its key; the key of an address is its host, in one spelling.
    blocks: HashMap<Box<[u8]>, Nanos>,
    /// The number of blocks at which ended ones are next looked for.
    look_at_length: usize,
}

/// A list of patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListName {
    /// Keys that are never limited.
    Allow,
    /// Keys that are always refused.
    Deny,
}

/// The verdict of the lists on a key, before any limit is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The limits decide.
    Limited,
    /// It is allowed.
    Unlimited,
    /// It is refused.
    Denied,
    /// It is refused for a time.
    Blocked {
        /// Nanoseconds until the end of the block.
        retry_after: Nanos,
    },
}

impl Lists {
    /// Empty lists; `persistence` keeps their entries.
    pub(super) fn new(persistence: Arc<Persistence>) -> Lists {
        let ipv6_prefix = IPV6_PREFIX_DEFAULT;
        Lists { entries: RwLock::default(), count: AtomicUsize::new(0), persistence, ipv6_prefix }
    }

    /// The standing of a key under a policy, by the common lists and the policy's own.  Precedence: block, deny, allow.
    pub fn standing(&self, key: &[u8], policy: Option<&Policy>, now: Nanos) -> Standing {
        let has_common = self.count.load(Relaxed) > 0;
        let policy = policy.filter(|policy| policy.has_lists());
        if !has_common && policy.is_none() {
            return Standing::Limited;
        }
        let host = host_of(key).map(|host| host.host(self.ipv6_prefix));
        let own = policy.map_or(Listed::No, |policy| policy.listed(key, host));
        let common = if has_common { self.common(key, host, now) } else { Standing::Limited };
        match (common, own) {
            (Standing::Denied | Standing::Blocked { .. }, _) => common,
            (_, Listed::Denied) => Standing::Denied,
            (Standing::Unlimited, _) | (_, Listed::Allowed) => Standing::Unlimited,
            (Standing::Limited, Listed::No) => Standing::Limited,
        }
    }

    fn common(&self, key: &[u8], host: Option<Network>, now: Nanos) -> Standing {
        let entries = self.entries.read();
        let on = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches(key, host));
        let blocks = &entries.blocks;
        let until = if blocks.is_empty() { None } else { blocks.get(&*self.blocked_as(key)) };
        match until.filter(|until| **until > now) {
            Some(until) => Standing::Blocked { retry_after: until - now },
            None if on(&entries.deny) => Standing::Denied,
            None if on(&entries.allow) => Standing::Unlimited,
            None => Standing::Limited,
        }
    }

    /// The key of a block: for an address its host, in one spelling.
    fn blocked_as<'k>(&self, key: &'k [u8]) -> Cow<'k, [u8]> {
        match host_of(key) {
            Some(host) => host.host(self.ipv6_prefix).to_string().into_bytes().into(),
            None => key.into(),
        }
    }

    /// The key of a client whose address a proxy has written; none if it is no address.
    pub fn client(&self, address: &[u8]) -> Option<Vec<u8>> {
        address::client(address, self.ipv6_prefix).map(|client| client.to_string().into_bytes())
    }

    /// Puts a pattern on a list; false if it was there.
    ///
    /// # Errors
    /// If the pattern is not valid, or the list is full.
    pub fn add(&self, list: ListName, pattern: &[u8]) -> Result<bool, InvalidParameter> {
        let pattern = Pattern::parse(pattern)?;
        self.change(|entries| {
            let patterns = entries.list(list);
            if patterns.contains(&pattern) {
                return Ok(false);
            }
            within("the number of patterns", patterns.len() + 1, PATTERNS_MAX)?;
            self.persistence.write([Record::Listed { list, pattern: pattern.text() }]);
            patterns.push(pattern);
            Ok(true)
        })
    }

    /// Takes a pattern off a list; false if it was not there.
    pub fn remove(&self, list: ListName, pattern: &[u8]) -> bool {
        let Ok(pattern) = Pattern::parse(pattern) else { return false };
        self.change(|entries| {
            let patterns = entries.list(list);
            let before = patterns.len();
            patterns.retain(|other| *other != pattern);
            let is_removed = patterns.len() < before;
            if is_removed {
                self.persistence.write([Record::Unlisted { list, pattern: pattern.text() }]);
            }
            is_removed
        })
    }

    /// The patterns of a list, the oldest first.
    pub fn patterns(&self, list: ListName) -> Vec<Box<[u8]>> {
        let entries = self.entries.read();
        let patterns = if list == ListName::Allow { &entries.allow } else { &entries.deny };
        patterns.iter().map(|pattern| pattern.text().into()).collect()
    }

    /// Blocks a key until a time, and with an address its whole host; a time that has passed ends a block.
    ///
    /// # Errors
    /// If the key is empty or too long, or too many keys are blocked.
    pub fn block(&self, key: &[u8], until: Nanos, now: Nanos) -> Result<(), InvalidParameter> {
        self.set_block(key, until, now, |persistence, record| persistence.write([record]))
    }

    fn set_block(
        &self,
        key: &[u8],
        until: Nanos,
        now: Nanos,
        keep: impl FnOnce(&Persistence, Record<'_>),
    ) -> Result<(), InvalidParameter> {
        let key = &*self.blocked_as(checked_key(key)?);
        self.change(|entries| {
            // Rarely, since this looks at all of them.
            if entries.blocks.len() >= entries.look_at_length {
                entries.blocks.retain(|_, until| *until > now);
                entries.look_at_length = (entries.blocks.len() * 2).clamp(LOOK_LENGTH_MIN, BLOCKS_MAX);
            }
            if until <= now {
                if entries.blocks.remove(key).is_some() {
                    keep(&self.persistence, Record::Unblocked { key });
                }
                return Ok(());
            }
            let is_new = !entries.blocks.contains_key(key);
            within("the number of blocked keys", entries.blocks.len() + usize::from(is_new), BLOCKS_MAX)?;
            entries.blocks.insert(key.into(), until);
            keep(&self.persistence, Record::Blocked { until, key });
            Ok(())
        })
    }

    /// Counts a refusal of a key by a policy's limits, and blocks the key if the policy says so.  If too many keys are
    /// blocked, the count starts again.  While the disk takes nothing, the block holds but is not kept: records would gather.
    pub fn block_violator(&self, policy: &Policy, key: &[u8], now: Nanos) {
        if let Some(span) = policy.block_after(&self.blocked_as(key), now) {
            let is_kept = self.persistence.admit().is_ok();
            let _ = self.set_block(key, now + span, now, |persistence, record| {
                if is_kept {
                    persistence.write_quietly(record);
                }
            });
        }
    }

    /// Restores the patterns and blocks of an earlier server, whose limits were the same.
    pub fn restore(&self, allow: Vec<Box<[u8]>>, deny: Vec<Box<[u8]>>, blocks: HashMap<Box<[u8]>, Nanos>) {
        let patterns =
            |list: Vec<Box<[u8]>>| list.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let (allow, deny) = (patterns(allow), patterns(deny));
        let mut kept = HashMap::with_capacity(blocks.len());
        for (key, until) in blocks {
            // Fewer bits may tell hosts apart now, so that several hosts become one.
            let end = kept.entry(self.blocked_as(&key).into()).or_insert(until);
            *end = until.max(*end);
        }
        self.change(|entries| *entries = Entries { allow, deny, blocks: kept, look_at_length: 0 });
    }

    /// Gives `write` all entries, as records, while the lists are locked.
    pub fn each_record(&self, mut write: impl FnMut(Record<'_>)) {
        let entries = self.entries.read();
        for (list, patterns) in [(ListName::Allow, &entries.allow), (ListName::Deny, &entries.deny)] {
            patterns.iter().for_each(|pattern| write(Record::Listed { list, pattern: pattern.text() }));
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
    fn list(&mut self, list: ListName) -> &mut Vec<Pattern> {
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
