//! Who wants wildcards: trees of tokens, in parts by the first token, each with a lock of its own.
//!
//! A subject is looked up in the part of its first token and in that of the wildcards that begin with `*` or `>`.  At each
//! token the search goes on with the same token and with `*`, so it visits a node at most once, and only nodes whose path
//! matches the beginning of the subject.  Neither a long subject nor a long wildcard makes anything recurse.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use quartet_protocol::broker::subject;

use super::members::{Members, Wanting};
use super::tree::Tree;
use crate::lock_order::{RwLock, rank};

/// Enough that threads which look up subjects with different first tokens seldom meet.
const PART_COUNT: usize = 64;

/// The wildcards of some first tokens.
#[derive(Default)]
struct Part<W: Wanting> {
    tree: RwLock<Tree<W>, { rank::WILDCARDS }>,
    /// The number of wildcards.  Changed under the lock; while it is 0, nobody takes the lock to search.
    count: AtomicUsize,
}

/// See the module's text.
pub(super) struct Wildcards<W: Wanting = Members> {
    /// By the hash of the first token, which is literal.
    parts: Box<[CachePadded<Part<W>>]>,
    /// Wildcards whose first token is `*` or `>`.
    unbound: CachePadded<Part<W>>,
}

impl<W: Wanting> Default for Wildcards<W> {
    fn default() -> Wildcards<W> {
        let parts = (0..PART_COUNT).map(|_| CachePadded::default()).collect();
        Wildcards { parts, unbound: CachePadded::default() }
    }
}

impl<W: Wanting> Wildcards<W> {
    /// Adds one who wants the wildcard `text`.  `first_hash` is the hash of its first token.
    pub(super) fn add(&self, first_hash: u64, text: &[u8], receiver: W::Receiver) {
        let part = self.part(first_hash, text);
        let mut tree = part.tree.write();
        tree.add(text, receiver);
        part.count.store(tree.len(), Relaxed);
    }

    /// Removes one; false if it is not here.
    pub(super) fn remove(&self, first_hash: u64, text: &[u8], receiver: &W::Receiver) -> bool {
        let part = self.part(first_hash, text);
        let mut tree = part.tree.write();
        let is_removed = tree.remove(text, receiver);
        part.count.store(tree.len(), Relaxed);
        is_removed
    }

    /// Shows the subscriptions and sinks of the wildcards that match a subject; no wildcard matches an invalid one.  The second argument says whether
    /// the wildcard names the first token.
    pub(super) fn look_up(&self, first_hash: u64, subject: &[u8], mut see: impl FnMut(&W, bool)) {
        let parts = [(self.bound(first_hash), true), (&self.unbound, false)];
        let is_empty = |part: &Part<W>| part.count.load(Relaxed) == 0;
        if parts.iter().all(|(part, _)| is_empty(part)) || !subject::is_valid_subject(subject) {
            return;
        }
        for (part, names_first) in parts.into_iter().filter(|(part, _)| !is_empty(part)) {
            part.tree.read().look_up(subject, |wanting| see(wanting, names_first));
        }
    }

    /// Shows the subscriptions and sinks of all wildcards, in no order.
    pub(super) fn visit(&self, mut see: impl FnMut(&W)) {
        for part in self.all_parts() {
            part.tree.read().visit(&mut see);
        }
    }

    /// The number of wildcards.
    pub(super) fn len(&self) -> usize {
        self.all_parts().map(|part| part.count.load(Relaxed)).sum()
    }

    fn all_parts(&self) -> impl Iterator<Item = &CachePadded<Part<W>>> {
        self.parts.iter().chain([&self.unbound])
    }

    fn part(&self, first_hash: u64, text: &[u8]) -> &Part<W> {
        if begins_with_wildcard(text) { &self.unbound } else { self.bound(first_hash) }
    }

    fn bound(&self, first_hash: u64) -> &CachePadded<Part<W>> {
        &self.parts[(first_hash >> 32) as usize % PART_COUNT]
    }
}

/// Whether the first token of a pattern stands for others.
pub(super) fn begins_with_wildcard(pattern: &[u8]) -> bool {
    matches!(subject::first_token(pattern), subject::ANY_TOKEN | subject::ALL_TOKENS)
}
