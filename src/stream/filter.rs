//! Which messages of a stream a consumer or a request is about: all of them, or those on some subjects.

use quartet_protocol::broker::subject;

/// Patterns of which a message's subject must match one; without patterns every message matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    patterns: Box<[Box<[u8]>]>,
}

impl Filter {
    /// The filter that every message matches.
    pub fn all() -> Filter {
        Filter::default()
    }

    /// A filter of valid patterns.  A message counts once, however many of them match its subject.
    pub fn of(patterns: impl IntoIterator<Item = impl Into<Box<[u8]>>>) -> Filter {
        Filter { patterns: patterns.into_iter().map(Into::into).collect() }
    }

    /// Whether every message matches because there are no patterns.
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns; none if every message matches.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.patterns.iter().map(|pattern| &**pattern)
    }

    /// Whether a message on `subject` matches.
    #[inline]
    pub fn matches(&self, subject: &[u8]) -> bool {
        self.is_all() || self.patterns.iter().any(|pattern| subject::matches(pattern, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_filter_matches_by_any_of_its_patterns() {
        let filter = Filter::of([&b"orders.*"[..], b"bills.>"]);
        for (subject, matches) in [
            (&b"orders.new"[..], true),
            (b"orders.eu.new", false),
            (b"bills.eu.new", true),
            (b"bills", false),
        ] {
            assert_eq!(filter.matches(subject), matches, "{}", String::from_utf8_lossy(subject));
        }
        assert!(Filter::all().matches(b"anything.at.all"));
        assert!(!filter.is_all());
        assert_eq!(filter.patterns().len(), 2);
    }
}
