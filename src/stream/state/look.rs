//! Looking for messages: exact answers, from the index where it knows them and from directories where it does not.
//!
//! Any subject may be that of an unknown message.  So who reads messages comes to it whatever the filter, and is answered
//! by an error there; who removes messages by their subjects leaves it alone.

use super::{Data, Missing};
use crate::stream::filter::Filter;
use crate::stream::index::{Count, End, Next};

impl Data {
    /// The first messages from `from` to `until` that a filter matches or that are unknown, up to `most`, in their order.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn next_many(
        &self,
        from: u64,
        until: u64,
        filter: &Filter,
        most: usize,
    ) -> Result<Vec<u64>, Missing> {
        let mut found = self.next_known(from, until, filter, most)?;
        if !filter.is_all() && !self.index.unknown().is_empty() {
            let unknown = self.index.unknown_from(from).take_while(|sequence| *sequence <= until);
            found.extend(unknown.take(most));
            found.sort_unstable();
            found.truncate(most);
        }
        Ok(found)
    }

    /// The first messages from `from` to `until` that a filter is known to match, up to `most`, in their order.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(super) fn next_known(
        &self,
        from: u64,
        until: u64,
        filter: &Filter,
        most: usize,
    ) -> Result<Vec<u64>, Missing> {
        let from = from.max(self.index.first());
        let mut found = Vec::new();
        if filter.is_all() {
            let mut next = self.index.stored_from(from);
            while let Some(sequence) = next.filter(|sequence| *sequence <= until && found.len() < most) {
                found.push(sequence);
                next = self.index.stored_from(sequence + 1);
            }
            return Ok(found);
        }
        let from = match self.index.next(from, filter) {
            Next::None => return Ok(found),
            Next::At(sequence) | Next::NotBefore(sequence) => sequence.max(from),
        };
        let segments = self.contents.segments.from(from);
        for (at, segment) in segments.iter().enumerate() {
            if found.len() >= most || segment.summary().first > until {
                break;
            }
            let directory = self.contents.directory_at(&segments, at)?;
            let wanted = directory.wanted(|subject| filter.matches(subject));
            let rows = directory.matching(from..=until, self.index.deleted(), &wanted);
            found.extend(rows.map(|row| row.sequence).take(most - found.len()));
        }
        let behind = found.last().map_or(from, |last| last + 1);
        let journaled = self.contents.journaled.matching(behind, filter);
        let is_stored = |sequence: &u64| *sequence <= until && self.index.is_stored(*sequence);
        let journaled = journaled.map(|message| message.sequence).filter(is_stored);
        found.extend(journaled.take(most.saturating_sub(found.len())));
        Ok(found)
    }

    /// How many messages from `from` on a filter matches.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn count(&self, from: u64, filter: &Filter) -> Result<u64, Missing> {
        let (counted, open) = match self.index.count_from(from, filter) {
            Count::Exact(count) => return Ok(count),
            Count::AtLeast(counted, open) => (counted, open),
        };
        let is_open = |subject: &[u8]| open.contains(subject);
        let mut count = 0;
        let segments = self.contents.segments.from(from);
        for at in 0..segments.len() {
            let directory = self.contents.directory_at(&segments, at)?;
            let wanted = directory.wanted(is_open);
            count += directory.matching(from..=u64::MAX, self.index.deleted(), &wanted).count() as u64;
        }
        let open = Filter::of(open.iter().cloned());
        count += self.contents.journaled.count(from, &open, |sequence| self.index.is_stored(sequence));
        Ok(counted + count)
    }

    /// The last message up to `until` that a filter matches or that is unknown.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn last_matching(&self, until: u64, filter: &Filter) -> Result<Option<u64>, Missing> {
        Ok(self.last_known(until, filter)?.max(self.index.last_unknown(until)))
    }

    /// The last message up to `until` that a filter is known to match.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn last_known(&self, until: u64, filter: &Filter) -> Result<Option<u64>, Missing> {
        let Some(end) = self.index.last_matching(filter) else { return Ok(None) };
        if end.is_exact && end.sequence <= until {
            return Ok(Some(end.sequence));
        }
        let until = until.min(end.sequence);
        let journaled = self.contents.journaled.matching(self.index.first(), filter).rev();
        let is_found = |sequence: &u64| *sequence <= until && self.index.is_stored(*sequence);
        if let Some(found) = journaled.map(|message| message.sequence).find(is_found) {
            return Ok(Some(found));
        }
        for segment in self.contents.segments.until(until).iter().rev() {
            let directory = self.contents.directory(segment)?;
            let wanted = directory.wanted(|subject| filter.matches(subject));
            let found = directory.last_matching(until, self.index.deleted(), &wanted);
            if let Some(row) = found.filter(|row| row.sequence >= self.index.first()) {
                return Ok(Some(row.sequence));
            }
        }
        Ok(None)
    }

    /// The last message of each subject that a filter matches and all unknown ones, in the order of their sequences.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn last_of_each(&self, filter: &Filter) -> Result<Vec<u64>, Missing> {
        let mut found = self.last_known_of_each(u64::MAX, filter, usize::MAX)?.unwrap_or_default();
        found.extend(self.index.unknown());
        found.sort_unstable();
        Ok(found)
    }

    /// The first unknown message up to `until` that may be the last one of a subject that a filter matches, where `known` are the
    /// last known ones.
    pub(crate) fn doubt_of(&self, known: &[u64], until: u64, filter: &Filter) -> Option<u64> {
        let is_each_known =
            !filter.is_all() && filter.wildcards().is_empty() && known.len() == filter.literals().count();
        let behind = known.first().filter(|_| is_each_known).map_or(0, |first| first + 1);
        self.index.unknown_from(behind).next().filter(|unknown| *unknown <= until)
    }

    /// The last message up to `until` of each subject that a filter is known to match, in the order of their sequences; none if
    /// there are more than `max` subjects.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn last_known_of_each(
        &self,
        until: u64,
        filter: &Filter,
        max: usize,
    ) -> Result<Option<Vec<u64>>, Missing> {
        let Ok(ends) = self.index.last_of_each(filter, max) else { return Ok(None) };
        let mut found = Vec::with_capacity(ends.len());
        for (subject, End { sequence, is_exact }) in ends {
            if is_exact && sequence <= until {
                found.push(sequence);
            } else {
                found.extend(self.last_known(until, &Filter::of([subject]))?);
            }
        }
        found.sort_unstable();
        Ok(Some(found))
    }

    /// The first message from `from` on that is known to be on a subject.
    pub(super) fn first_on(&self, subject: &[u8], from: u64) -> Result<Option<u64>, Missing> {
        Ok(self.oldest_on(subject, from, 1)?.first().copied())
    }

    /// The first messages from `from` on that are known to be on a subject, up to `count`.
    pub(super) fn oldest_on(&self, subject: &[u8], from: u64, count: u64) -> Result<Vec<u64>, Missing> {
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        self.next_known(from, u64::MAX, &Filter::of([subject]), most)
    }

    /// Shows the sequence, the subject and the size of every stored message that is not unknown.
    pub(super) fn each_known(&self, mut see: impl FnMut(u64, &[u8], u64)) -> Result<(), Missing> {
        let segments = self.contents.segments.from(self.index.first());
        for at in 0..segments.len() {
            let directory = self.contents.directory_at(&segments, at)?;
            let wanted = directory.wanted(|_| true);
            let range = self.index.first()..=self.index.last();
            for row in directory.matching(range, self.index.deleted(), &wanted) {
                see(row.sequence, directory.subject_of(row), row.size);
            }
        }
        for message in self.contents.journaled.from(self.index.first()) {
            if self.index.is_stored(message.sequence)
                && let Ok(Some(facts)) = self.contents.facts(message.sequence)
            {
                see(message.sequence, &facts.subject, facts.size);
            }
        }
        Ok(())
    }
}
