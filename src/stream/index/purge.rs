//! Which messages a purge takes, and a rollup, which is a purge that keeps the message that asked for it.

use super::Index;
use quartet_protocol::broker::subject::{ALL_TOKENS, matches};

/// What a purge asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Purge<'p> {
    /// Only messages whose subject it matches.
    pub filter: Option<&'p [u8]>,
    /// Only messages before this sequence.
    pub before: Option<u64>,
    /// So many of the newest stay.
    pub keep: Option<u64>,
}

/// How a message replaces earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rollup {
    /// All of its subject.
    Subject,
    /// All of the stream.
    Stream,
}

/// The messages that a purge takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Nothing.
    Nothing,
    /// Everything that is stored: [`Index::clear`].
    Everything,
    /// Exactly these, in their order.
    Sequences(Vec<u64>),
    /// The oldest of those that the filter matches, up to a number, and below a sequence: storage is searched for them.
    Oldest {
        /// So many at most.
        count: u64,
        /// All of them are below this sequence.
        below: u64,
    },
}

impl<'p> Purge<'p> {
    /// What the rollup of the message `sequence` on `subject` takes, after it was stored.
    pub fn rollup(rollup: Rollup, subject: &'p [u8], sequence: u64) -> Purge<'p> {
        let filter = (rollup == Rollup::Subject).then_some(subject);
        Purge { filter, before: Some(sequence), keep: None }
    }

    /// Whether it takes messages of this subject.
    pub fn concerns(&self, subject: &[u8]) -> bool {
        self.filter.is_none_or(|filter| matches(filter, subject))
    }

    /// Which messages it takes.
    pub fn taken(&self, index: &Index) -> Taken {
        let before = self.before.unwrap_or(u64::MAX).min(index.last() + 1);
        let keep = self.keep.unwrap_or(0);
        let Some(filter) = self.filter.filter(|filter| *filter != ALL_TOKENS) else {
            return taken_of_everything(index, before, keep);
        };
        let (mut count, mut exact) = (0, Some(Vec::new()));
        for (subject, known) in index.matching(filter) {
            count += known.count;
            let sequences = exact.as_ref().and_then(|_| index.sequences(subject));
            exact = exact.zip(sequences).map(|(exact, sequences)| [exact, sequences].concat());
        }
        let count = count.saturating_sub(keep);
        match exact {
            _ if count == 0 || before <= index.first() => Taken::Nothing,
            Some(mut sequences) => {
                sequences.sort_unstable();
                sequences.truncate(count as usize);
                sequences.retain(|sequence| *sequence < before);
                if sequences.is_empty() { Taken::Nothing } else { Taken::Sequences(sequences) }
            }
            None => Taken::Oldest { count, below: before },
        }
    }
}

fn taken_of_everything(index: &Index, before: u64, keep: u64) -> Taken {
    let count = index.messages().saturating_sub(keep);
    if count == 0 || before <= index.first() {
        Taken::Nothing
    } else if before > index.last() && keep == 0 {
        Taken::Everything
    } else {
        Taken::Oldest { count, below: before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(of_subject: Option<u64>) -> Index {
        let mut index = Index::new(1, of_subject);
        for (number, subject) in ["a.1", "b.1", "a.1", "a.2", "a.1"].iter().enumerate() {
            index.add(number as u64 + 1, subject.as_bytes(), 10);
        }
        index
    }

    #[test]
    fn a_purge_takes_what_it_names() {
        let oldest = |count, below| Taken::Oldest { count, below };
        type Asked = (Option<&'static [u8]>, Option<u64>, Option<u64>);
        let cases: &[(Asked, Taken)] = &[
            ((None, None, None), Taken::Everything),
            ((Some(b">"), None, None), Taken::Everything),
            ((None, Some(100), None), Taken::Everything),
            ((None, Some(3), None), oldest(5, 3)),
            ((None, Some(1), None), Taken::Nothing),
            ((None, None, Some(2)), oldest(3, 6)),
            ((None, None, Some(5)), Taken::Nothing),
            ((Some(b"c"), None, None), Taken::Nothing),
            ((Some(b"b.1"), None, None), Taken::Sequences(vec![2])),
            ((Some(b"b.1"), Some(2), None), Taken::Nothing),
            ((Some(b"a.*"), None, Some(1)), oldest(3, 6)),
            ((Some(b"a.1"), Some(5), None), oldest(3, 5)),
        ];
        for ((filter, before, keep), expected) in cases {
            let purge = Purge { filter: *filter, before: *before, keep: *keep };
            assert_eq!(purge.taken(&filled(None)), *expected, "{purge:?}");
        }
    }

    #[test]
    fn a_purge_of_short_histories_names_the_sequences() {
        let index = filled(Some(5));
        let purge = Purge { filter: Some(b"a.*"), before: None, keep: Some(1) };
        assert_eq!(purge.taken(&index), Taken::Sequences(vec![1, 3, 4]));
        let rollup = Purge::rollup(Rollup::Subject, b"a.1", 5);
        assert_eq!(rollup.taken(&index), Taken::Sequences(vec![1, 3]));
        assert!(rollup.concerns(b"a.1") && !rollup.concerns(b"a.2"));
        let rollup = Purge::rollup(Rollup::Stream, b"a.1", 5);
        assert_eq!(rollup.taken(&index), Taken::Oldest { count: 5, below: 5 });
    }
}
