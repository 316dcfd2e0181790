//! Removing messages: by their sequences, by a purge, all at once.

use roaring::RoaringTreemap;

use super::{Data, Gone, Missing};
use crate::stream::filter::Filter;
use crate::stream::index::purge::{Purge, Taken};
use crate::stream::record::Removal;
use crate::stream::segment::message_size;

/// Places of messages that are gone may stand among so many others, and as many as there are messages.
const SPARE_PLACES: u64 = 1024;

impl Data {
    /// Removes a message, and notes it among those that are gone; false if it is not stored.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn remove(&mut self, sequence: u64, gone: &mut Vec<Gone>) -> Result<bool, Missing> {
        if !self.index.is_stored(sequence) {
            return Ok(false);
        }
        let is_known = !self.index.unknown().contains(sequence);
        let facts = match self.contents.facts(sequence)? {
            Some(facts) => facts,
            // It is damaged, so nothing is known of it but its sequence.
            None => super::Facts { subject: Box::default(), size: message_size(0, 0, 0) },
        };
        if !self.index.remove(sequence, &facts.subject, facts.size) {
            self.index.remove_counted(sequence);
        }
        self.forget(sequence);
        gone.push(Gone { sequence, subject: is_known.then_some(facts.subject) });
        Ok(true)
    }

    /// Forgets what belongs to a message that has left.
    fn forget(&mut self, sequence: u64) {
        self.contents.memory.remove(&sequence);
        self.expiry.forget(sequence);
        self.schedules.forget(sequence);
        let Data { index, contents, .. } = self;
        contents.journaled.drop_through(index.first().saturating_sub(1));
        if contents.journaled.len() as u64 > 2 * index.messages() + SPARE_PLACES {
            contents.journaled.retain(|sequence| index.is_stored(sequence));
        }
    }

    /// Removes those of these messages that are stored.  If a client asked for that, their ids may be used again.
    ///
    /// # Errors
    /// If a directory has to be read first; called again, it continues.
    pub(crate) fn remove_all(
        &mut self,
        sequences: &RoaringTreemap,
        removal: Removal,
        gone: &mut Vec<Gone>,
    ) -> Result<(), Missing> {
        for sequence in sequences {
            self.remove(sequence, gone)?;
            if removal == Removal::Requested {
                self.ids.forget(sequence);
            }
        }
        Ok(())
    }

    /// Removes everything before a sequence, because a client asked for it.  The next message has this sequence at least.
    ///
    /// # Errors
    /// If a directory has to be read first; called again, it continues.
    pub(crate) fn clear_before(&mut self, next: u64, gone: &mut Vec<Gone>) -> Result<(), Missing> {
        if next <= self.index.last() {
            // Messages have come meanwhile.
            let purge = Purge { before: Some(next), ..Purge::default() };
            let taken = self.taken_by(&purge)?;
            return self.remove_all(&taken, Removal::Requested, gone);
        }
        // Messages behind it may be on their way, with ids that are known already.
        self.ids.clear_before(next);
        self.index.clear(next);
        self.contents.memory.clear();
        self.contents.journaled.drop_through(next.saturating_sub(1));
        (self.expiry, self.schedules) = Default::default();
        Ok(())
    }

    /// Removes what a purge or a rollup takes.
    ///
    /// # Errors
    /// If a directory has to be read first; called again, it continues.
    pub(crate) fn purge(&mut self, purge: &Purge<'_>, gone: &mut Vec<Gone>) -> Result<(), Missing> {
        for sequence in &self.taken_by(purge)? {
            self.remove(sequence, gone)?;
        }
        Ok(())
    }

    /// The messages that a purge takes.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn taken_by(&self, purge: &Purge<'_>) -> Result<RoaringTreemap, Missing> {
        let mut sequences = RoaringTreemap::new();
        match purge.taken(&self.index) {
            Taken::Nothing => {}
            Taken::Everything => {
                sequences.insert_range(self.index.first()..=self.index.last());
                sequences -= self.index.deleted();
            }
            Taken::Sequences(taken) => sequences.extend(taken),
            Taken::Oldest { count, below } => {
                let filter = purge.filter.map_or_else(Filter::all, |filter| Filter::of([filter]));
                let most = usize::try_from(count).unwrap_or(usize::MAX);
                let until = below.saturating_sub(1);
                sequences.extend(self.next_known(self.index.first(), until, &filter, most)?);
            }
        }
        Ok(sequences)
    }
}
