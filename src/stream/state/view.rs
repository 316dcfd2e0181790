//! What a consumer sees of a stream's messages.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use super::{Data, Missing};
use crate::stream::consumer::messages::{Messages, Size};
use crate::stream::filter::Filter;
use crate::stream::segment::message_size;

/// What was found out for a consumer before its turn, because that may need the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    /// The messages that its filter matches, from the first that it has not delivered on.
    pub sequences: Vec<u64>,
    /// When messages were stored, in nanoseconds since 1970.
    pub times: HashMap<u64, i64>,
    /// The first sequence stored at or after the time at which the consumer begins.
    pub since: Option<u64>,
}

/// The messages of a stream for one turn of a consumer.  If an answer needs a directory that is not in memory, it is a wrong
/// one, and [`View::missing`] says so: the caller then drops the results of the turn.  So the caller first asks for what a turn
/// that cannot be dropped is going to ask for.
pub(crate) struct View<'s> {
    data: &'s Data,
    ahead: &'s Ahead,
    missing: RefCell<Option<Missing>>,
    /// The sizes of messages of a file, from the one that was asked for last on.
    sizes: RefCell<VecDeque<(u64, Size)>>,
}

/// The sizes of so many messages are looked up together: a turn asks for those of one message after the other.
const SIZES_AT_ONCE: usize = 64;

impl<'s> View<'s> {
    /// The messages of a stream, with what was found out before.
    pub(crate) fn new(data: &'s Data, ahead: &'s Ahead) -> View<'s> {
        View { data, ahead, missing: RefCell::default(), sizes: RefCell::default() }
    }

    /// The directory that an answer would have needed.
    pub(crate) fn missing(&self) -> Option<Missing> {
        self.missing.borrow_mut().take()
    }

    fn size_in_file(&self, sequence: u64) -> Size {
        let sizes = &mut *self.sizes.borrow_mut();
        while sizes.pop_front_if(|(before, _)| *before < sequence).is_some() {}
        if sizes.front().is_none_or(|(next, _)| *next != sequence) {
            sizes.clear();
            let looked_up =
                self.data.contents.sizes_from(sequence, SIZES_AT_ONCE, |sequence, subject, size| {
                    // A directory tells what both parts count for together.
                    let payload = size.saturating_sub(message_size(subject, 0, 0)) as usize;
                    sizes.push_back((sequence, Size { subject, headers: 0, payload }));
                });
            self.known(looked_up, ());
        }
        sizes.front().filter(|(first, _)| *first == sequence).map_or(Size::default(), |(_, size)| *size)
    }

    fn known<T>(&self, answer: Result<T, Missing>, otherwise: T) -> T {
        answer.unwrap_or_else(|missing| {
            *self.missing.borrow_mut() = Some(missing);
            otherwise
        })
    }
}

impl Messages for View<'_> {
    fn first(&self) -> u64 {
        self.data.index.first()
    }

    fn last(&self) -> u64 {
        self.data.index.last()
    }

    fn next(&self, from: u64, filter: &Filter) -> Option<u64> {
        if filter.is_all() {
            return self.data.index.stored_from(from);
        }
        let at = self.ahead.sequences.partition_point(|sequence| *sequence < from);
        let mut known = self.ahead.sequences[at..].iter().copied();
        let is_covered = self.ahead.sequences.first().is_some_and(|first| *first <= from);
        match known.find(|sequence| self.holds(*sequence)) {
            Some(sequence) if is_covered || at == 0 => Some(sequence),
            _ => {
                let next = self.data.next_many(from, u64::MAX, filter, 1);
                self.known(next, Vec::new()).first().copied()
            }
        }
    }

    fn count(&self, from: u64, filter: &Filter) -> u64 {
        self.known(self.data.count(from, filter), 0)
    }

    fn unknown(&self, from: u64) -> u64 {
        self.data.index.unknown().range_cardinality(from..)
    }

    fn last_matching(&self, filter: &Filter) -> Option<u64> {
        // A consumer that begins at the last known message comes to the unknown ones behind it.
        let known = self.known(self.data.last_known(u64::MAX, filter), None);
        known.or(self.data.index.last_unknown(u64::MAX))
    }

    fn last_per_subject(&self, filter: &Filter) -> Vec<u64> {
        self.known(self.data.last_of_each(filter), Vec::new())
    }

    fn since(&self, _time: i64) -> u64 {
        self.ahead.since.unwrap_or(self.data.index.last() + 1)
    }

    fn holds(&self, sequence: u64) -> bool {
        self.data.index.is_stored(sequence)
    }

    fn time(&self, sequence: u64) -> i64 {
        let journaled = self.data.contents.journaled.get(sequence).map(|message| message.time);
        journaled.or_else(|| self.ahead.times.get(&sequence).copied()).unwrap_or(self.data.last_time)
    }

    fn size(&self, sequence: u64) -> Size {
        let journaled = &self.data.contents.journaled;
        if let Some(message) = journaled.get(sequence) {
            let subject = journaled.subject_of(message).len();
            return Size { subject, headers: message.headers as usize, payload: message.payload as usize };
        }
        self.size_in_file(sequence)
    }
}
