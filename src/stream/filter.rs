//! Which messages of a stream a consumer or a request is about: all of them, or those on some subjects.
//!
//! Consumers may have hundreds of filters, and each message is compared with them.  Most filters are subjects without wildcards:
//! these are in a table, so that they cost one look-up however many they are.  Those with wildcards are tried one after the other.

use hashbrown::HashSet;
use quartet_protocol::broker::subject;

/// Patterns of which a message's subject must match one; without patterns every message matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// The patterns without wildcards.
    literals: HashSet<Box<[u8]>>,
    /// The others.
    wildcards: Box<[Box<[u8]>]>,
}

impl Filter {
    /// The filter that every message matches.
    pub fn all() -> Filter {
        Filter::default()
    }

    /// A filter of valid patterns.  A message counts once, however many of them match its subject.
    pub fn of(patterns: impl IntoIterator<Item = impl Into<Box<[u8]>>>) -> Filter {
        let (mut literals, mut wildcards) = (HashSet::new(), Vec::new());
        for pattern in patterns {
            let pattern = pattern.into();
            if *pattern == *subject::ALL_TOKENS {
                return Filter::all();
            }
            if subject::has_wildcard(&pattern) {
                wildcards.push(pattern);
            } else {
                literals.insert(pattern);
            }
        }
        Filter { literals, wildcards: wildcards.into() }
    }

    /// Whether every message matches: there are no patterns, or one of them was `>`.
    pub fn is_all(&self) -> bool {
        self.literals.is_empty() && self.wildcards.is_empty()
    }

    /// The patterns without wildcards, each once and in no order.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.literals.iter().map(|literal| &**literal)
    }

    /// The patterns with wildcards.
    pub fn wildcards(&self) -> &[Box<[u8]>] {
        &self.wildcards
    }

    /// Whether a message on `subject` matches.
    #[inline]
    pub fn matches(&self, subject: &[u8]) -> bool {
        // The subject of a message is empty if nobody knows it any more.
        self.is_all()
            || self.has_literal(subject)
            || (!subject.is_empty() && matches_any(&self.wildcards, subject))
    }

    /// Whether `subject` is one of the patterns without wildcards.
    #[inline]
    pub fn has_literal(&self, subject: &[u8]) -> bool {
        self.literals.contains(subject)
    }
}

/// Whether one of the patterns matches `subject`.
#[inline]
pub fn matches_any(patterns: &[Box<[u8]>], subject: &[u8]) -> bool {
    patterns.iter().any(|pattern| subject::matches(pattern, subject))
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_filter_matches_by_any_of_its_patterns() {
        let filter = Filter::of([&b"orders.*"[..], b"bills.>", b"news", b"orders.eu.old"]);
        for (subject, matches) in [
            (&b"orders.new"[..], true),
            (b"orders.eu.new", false),
            (b"orders.eu.old", true),
            (b"bills.eu.new", true),
            (b"bills", false),
            (b"news", true),
            (b"news.eu", false),
            (b"", false),
        ] {
            assert_eq!(filter.matches(subject), matches, "{}", String::from_utf8_lossy(subject));
        }
        assert!(Filter::all().matches(b"anything.at.all"));
        assert!(Filter::all().is_all() && !filter.is_all());
        assert_eq!(Filter::of([&b"news"[..], b">"]), Filter::all());
        assert_eq!((filter.literals().count(), filter.wildcards().len()), (2, 2));
    }

    #[test]
    fn patterns_without_wildcards_are_looked_up_and_not_tried() {
        let subjects: Vec<Vec<u8>> = (0..500).map(|number| format!("orders.{number}").into()).collect();
        let filter = Filter::of(subjects.iter().chain(&subjects).map(Vec::as_slice));
        assert!(subjects.iter().all(|subject| filter.matches(subject)));
        assert!(!filter.matches(b"orders.500"));
        assert_eq!((filter.literals().count(), filter.wildcards().len()), (500, 0));
    }
}
