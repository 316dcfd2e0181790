//! Subscriptions to globs, in the order of their literal prefixes.
//!
//! The literal prefix of a glob is what it says before its first `*`, `?` or class.  A subject is tried only against globs
//! whose literal prefix it begins with, so the number of all others does not matter.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use quartet_protocol::broker::subject;
use smallvec::SmallVec;

use super::super::{Name, Subscription};
use super::members::{Members, Wanting};
use crate::glob::Pattern;
use crate::lock_order::{RwLock, rank};

type Prefixes = BTreeMap<Box<[u8]>, BTreeMap<Name, Glob>>;

/// One glob with its subscriptions, of which there is at least one.
struct Glob {
    pattern: Arc<Pattern>,
    members: Members,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Globs {
    prefixes: RwLock<Prefixes, { rank::GLOBS }>,
    /// The number of globs.  Changed under the lock.
    count: AtomicUsize,
}

impl Globs {
    /// Adds a subscription to the glob `text`.
    pub(super) fn add(&self, text: &Name, pattern: &Arc<Pattern>, subscription: Arc<Subscription>) {
        let mut prefixes = self.prefixes.write();
        let globs = prefixes.entry(pattern.literal_prefix().into()).or_default();
        let new = || Glob { pattern: Arc::clone(pattern), members: Members::default() };
        let count = globs.len();
        globs.entry(Arc::clone(text)).or_insert_with(new).members.add(subscription);
        self.count.fetch_add(globs.len() - count, Relaxed);
    }

    /// Removes a subscription; false if it is not here.
    pub(super) fn remove(&self, text: &Name, pattern: &Pattern, subscription: &Arc<Subscription>) -> bool {
        let mut prefixes = self.prefixes.write();
        let prefix = &*pattern.literal_prefix();
        let Some(globs) = prefixes.get_mut(prefix) else { return false };
        let Some(glob) = globs.get_mut(text) else { return false };
        let is_removed = glob.members.remove(subscription);
        if glob.members.is_empty() {
            globs.remove(text);
            self.count.fetch_sub(1, Relaxed);
        }
        if globs.is_empty() {
            prefixes.remove(prefix);
        }
        is_removed
    }

    /// Shows the subscriptions to globs that match a subject: those with a short literal prefix first, and those with the
    /// same one in the order of their bytes.  The second argument says whether the prefix names hidden subjects.
    pub(super) fn look_up(&self, subject: &[u8], mut see: impl FnMut(&Members, bool)) {
        if self.len() == 0 {
            return;
        }
        let prefixes = self.prefixes.read();
        let mut fitting = SmallVec::<[_; 8]>::new();
        visit_prefixes(&prefixes, subject, |prefix, globs| fitting.push((subject::is_hidden(prefix), globs)));
        for (names_hidden, globs) in fitting.into_iter().rev() {
            for (text, glob) in globs {
                if matches(&glob.pattern, text, subject) {
                    see(&glob.members, names_hidden);
                }
            }
        }
    }

    /// Shows the subscriptions of all globs.
    pub(super) fn visit(&self, mut see: impl FnMut(&Members)) {
        let prefixes = self.prefixes.read();
        prefixes.values().flat_map(BTreeMap::values).for_each(|glob| see(&glob.members));
    }

    /// The number of globs.
    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

/// Whether a subject matches the glob `text`.  As in Redis, `*` does not match the empty name.
pub(super) fn matches(pattern: &Pattern, text: &[u8], subject: &[u8]) -> bool {
    pattern.matches(subject) && (text.is_empty() || !subject.is_empty())
}

/// Visits the keys that `subject` begins with, the longest first.
///
/// The greatest key up to a bound either is such a key or parts from the subject at some byte.  Then all such keys that are
/// left end before that byte, since longer ones would lie between that key and the bound.  So each step shortens the bound.
fn visit_prefixes<'p, V>(
    keys: &'p BTreeMap<Box<[u8]>, V>,
    subject: &[u8],
    mut visit: impl FnMut(&'p [u8], &'p V),
) {
    let mut bound = subject;
    while let Some((key, value)) = keys.range::<[u8], _>((Unbounded, Included(bound))).next_back() {
        let common = key.iter().zip(bound).take_while(|(one, other)| one == other).count();
        if common < key.len() {
            bound = &bound[..common];
            continue;
        }
        visit(key, value);
        let Some(shorter) = common.checked_sub(1) else { return };
        bound = &bound[..shorter];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefixes_of_a_subject_are_found_among_many_keys_in_a_few_steps() {
        let keys = ["", "a", "ab", "abc", "abcd", "abd", "aca", "b", "ab\u{1}"];
        let mut keys: BTreeMap<Box<[u8]>, ()> = keys.map(|key| (key.as_bytes().into(), ())).into();
        keys.extend((0..10_000).map(|number| (format!("abb{number}").into_bytes().into(), ())));
        let found = |subject: &str| {
            let mut found = Vec::new();
            visit_prefixes(&keys, subject.as_bytes(), |key, ()| {
                found.push(String::from_utf8_lossy(key).into_owned());
            });
            found
        };
        assert_eq!(found("abce"), ["abc", "ab", "a", ""]);
        assert_eq!(found("abb12"), ["abb12", "abb1", "ab", "a", ""]);
        assert_eq!(found("ac"), ["a", ""]);
        assert_eq!(found("c"), [""]);
        assert_eq!(found(""), [""]);
    }
}
