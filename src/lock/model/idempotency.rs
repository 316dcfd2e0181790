//! Requests that were done already: a client that missed the reply can send the same request again.
//!
//! Every operation that changes something takes an id.  An id is bound to the request that it was first used for: the
//! same request has the same result again, and another request under it is refused.  A request that was refused, or
//! granted to nobody, is not remembered, so it may be made again.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::lock::identifiers::{RequestId, SessionId, WaiterId};
use crate::lock::limits::{OWNER_LENGTH_MAX, REQUEST_ID_LENGTH_MAX, REQUEST_ID_MEMORY, REQUEST_IDS_MAX};
use crate::lock::refused::Refused;

/// The result of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lock) enum Done {
    /// It was granted, or changed, a lease that has this fence now.
    Granted(u64),
    /// It waits.
    Waiting(WaiterId),
    /// It was answered with this number.
    Counted(u64),
    /// It opened this session.
    Opened(SessionId),
}

impl Done {
    /// The number that the request was answered with.
    pub(in crate::lock) fn counted(self) -> Result<u64, Refused> {
        match self {
            Done::Counted(count) => Ok(count),
            Done::Granted(_) | Done::Waiting(_) | Done::Opened(_) => Err(Refused::RequestIdUsed),
        }
    }
}

/// The kind of a request.  The numbers are part of fingerprints, which are on disks.
#[derive(Clone, Copy, Debug)]
pub(in crate::lock) enum OperationKind {
    Acquire = 1,
    Upgrade = 2,
    Downgrade = 3,
    Renew = 4,
    RenewAll = 5,
    Release = 6,
    ReleaseMany = 7,
    Force = 8,
    Cancel = 9,
    OpenSession = 10,
    PingSession = 11,
    CloseSession = 12,
}

/// A number that stands for an operation with all its arguments (FNV-1a).  It detects a client's mistake, not an
/// attack: a client that makes two requests with one number harms only itself.
#[derive(Clone, Copy)]
pub(in crate::lock) struct Fingerprint(u64);

impl Fingerprint {
    pub(in crate::lock) fn of(operation: OperationKind) -> Fingerprint {
        Fingerprint(0xcbf2_9ce4_8422_2325).number(operation as u64)
    }

    pub(in crate::lock) fn number(self, number: u64) -> Fingerprint {
        self.bytes(&number.to_le_bytes())
    }

    pub(in crate::lock) fn optional(self, number: Option<u64>) -> Fingerprint {
        self.number(number.is_some().into()).number(number.unwrap_or(0))
    }

    pub(in crate::lock) fn text(self, text: &[u8]) -> Fingerprint {
        self.number(text.len() as u64).bytes(text)
    }

    pub(in crate::lock) fn texts(self, texts: &[&[u8]]) -> Fingerprint {
        texts.iter().fold(self.number(texts.len() as u64), |sum, text| sum.text(text))
    }

    fn bytes(self, bytes: &[u8]) -> Fingerprint {
        let fold = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Fingerprint(bytes.iter().fold(self.0, fold))
    }
}

/// An id with the fingerprint of its request; empty for a request without an id.
#[derive(Clone, Default)]
pub(in crate::lock) struct Bound {
    /// The length of the scope, the scope, the id.
    pub(in crate::lock) key: Box<[u8]>,
    pub(in crate::lock) fingerprint: u64,
}

impl RequestId<'_> {
    /// Binds the id to the request with this fingerprint.
    ///
    /// # Errors
    /// If the id or its scope is too long.
    pub(in crate::lock) fn bind(self, fingerprint: impl FnOnce() -> Fingerprint) -> Result<Bound, Refused> {
        if self.id.is_empty() {
            return Ok(Bound::default());
        }
        if self.scope.len() > OWNER_LENGTH_MAX {
            return Err(Refused::LongOwner);
        }
        if self.id.len() > REQUEST_ID_LENGTH_MAX {
            return Err(Refused::LongRequestId);
        }
        let length = (self.scope.len() as u32).to_le_bytes();
        let key = [&length[..], self.scope, self.id].concat().into();
        Ok(Bound { key, fingerprint: fingerprint().0 })
    }
}

impl Bound {
    /// Whether the request has no id.
    pub(in crate::lock) fn is_none(&self) -> bool {
        self.key.is_empty()
    }
}

/// The requests with an id of the last two minutes, and those that wait.
#[derive(Default)]
pub(in crate::lock) struct RequestIds {
    /// Oldest first.  Each has a number, one larger than that of the entry before it.  A forgotten entry has an empty
    /// key.
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// The numbers by key.
    index: HashTable<u64>,
    hasher: RandomState,
    /// The bytes of all keys.
    key_bytes: usize,
}

/// Bytes for finding a key, about.
const INDEX_BYTES: usize = 16;

pub(in crate::lock) struct Entry {
    key: Box<[u8]>,
    pub(in crate::lock) fingerprint: u64,
    pub(in crate::lock) done: Done,
    /// When it was remembered, in microseconds.
    at: u64,
}

impl RequestIds {
    fn number_of(&self, key: &[u8]) -> Option<u64> {
        let is_it = |&number: &u64| *self.entries[(number - self.first) as usize].key == *key;
        self.index.find(self.hasher.hash_one(key), is_it).copied()
    }

    pub(in crate::lock) fn find(&self, key: &[u8]) -> Option<&Entry> {
        if key.is_empty() {
            return None;
        }
        self.number_of(key).map(|number| &self.entries[(number - self.first) as usize])
    }

    /// Remembers the result of a request; `now` in microseconds.
    pub(in crate::lock) fn remember(&mut self, key: &[u8], fingerprint: u64, done: Done, now: u64) {
        self.forget(key);
        self.forget_old(now);
        self.push(Entry { key: key.into(), fingerprint, done, at: now });
        while self.entries.len() > REQUEST_IDS_MAX {
            self.pop();
        }
    }

    /// Forgets a request that came to nothing.
    pub(in crate::lock) fn forget(&mut self, key: &[u8]) {
        let Some(number) = self.number_of(key) else { return };
        self.unlink(key, number);
        self.key_bytes -= key.len();
        self.entries[(number - self.first) as usize].key = Box::default();
    }

    /// The numbers of all entries, oldest first.
    pub(in crate::lock) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.entries.len() as u64
    }

    /// Key, fingerprint and result of the entry with a number, if it is still remembered and does not wait.
    pub(in crate::lock) fn done_at(&self, number: u64) -> Option<(&[u8], u64, Done)> {
        let entry = self.entries.get(number.checked_sub(self.first)? as usize)?;
        let is_done = !entry.key.is_empty() && !matches!(entry.done, Done::Waiting(_));
        is_done.then_some((&*entry.key, entry.fingerprint, entry.done))
    }

    /// The bytes of all entries, about.
    pub(in crate::lock) fn bytes(&self) -> usize {
        self.entries.len() * (size_of::<Entry>() + INDEX_BYTES) + self.key_bytes
    }

    /// The number of requests that are remembered.
    pub(in crate::lock) fn len(&self) -> usize {
        self.index.len()
    }

    fn push(&mut self, entry: Entry) {
        let RequestIds { entries, first, index, hasher, key_bytes } = self;
        *key_bytes += entry.key.len();
        let (hash, number) = (hasher.hash_one(&*entry.key), *first + entries.len() as u64);
        entries.push_back(entry);
        index.insert_unique(hash, number, |&number| {
            hasher.hash_one(&*entries[(number - *first) as usize].key)
        });
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if !entry.key.is_empty() {
            self.unlink(&entry.key, self.first);
            self.key_bytes -= entry.key.len();
        }
        self.first += 1;
        Some(entry)
    }

    fn unlink(&mut self, key: &[u8], number: u64) {
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
    }

    fn forget_old(&mut self, now: u64) {
        while let Some(entry) = self.entries.front()
            && (entry.key.is_empty() || now.saturating_sub(entry.at) >= REQUEST_ID_MEMORY * 1000)
        {
            // A client whose request waits longer than that may still repeat it.
            if let Some(entry) = self.pop()
                && matches!(entry.done, Done::Waiting(_))
                && !entry.key.is_empty()
            {
                self.push(Entry { at: now, ..entry });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_requests_apart() {
        let of = || Fingerprint::of(OperationKind::Acquire);
        let all = [
            of().texts(&[b"ab", b"c"]),
            of().texts(&[b"a", b"bc"]),
            of().texts(&[b"abc"]),
            of().optional(None),
            of().optional(Some(0)),
            of().number(0),
            Fingerprint::of(OperationKind::Renew).number(0),
        ];
        let different: std::collections::HashSet<u64> = all.iter().map(|sum| sum.0).collect();
        assert_eq!(different.len(), all.len());
    }
}
