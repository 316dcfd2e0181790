//! Applying changes that the disk has: storing a message, removing messages, replacing the definition.

use super::{Data, Kept, Missing, window};
use crate::stream::definition::StreamDefinition;
use crate::stream::index::limits::{Beside, Full, Leaving, Limits};
use crate::stream::index::purge::{Purge, Rollup};
use crate::stream::index::{End, Index};
use crate::stream::ingest;
use crate::stream::message::StoredMessage;
use crate::stream::segment::message_size;
use crate::wait::Position;
use quartet_protocol::broker::headers::Headers;
use std::sync::Arc;

/// A message that is to be stored, without its contents.
#[derive(Clone, Debug)]
pub(crate) struct Storing {
    /// Its place in its stream.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub time: i64,
    /// The subject that it was published on.
    pub subject: Box<[u8]>,
    /// Bytes of its headers and of its payload.
    pub lengths: [u32; 2],
    /// Where its record begins in the journal.
    pub position: Position,
    /// The id that it came with; empty for none.
    pub message_id: Box<[u8]>,
    /// Which earlier messages it removes.
    pub rollup: Option<ingest::Rollup>,
    /// Its own lifetime, if it does not have the stream's.
    pub lifetime: Option<ingest::Lifetime>,
    /// When its stream publishes it.
    pub due: Option<i64>,
    /// Its contents, if they are kept in memory.
    pub kept: Option<Arc<Kept>>,
    /// It takes the place of an earlier message of its subject, since there are as many as may be.
    pub is_replacing: bool,
}

impl Storing {
    /// A message that the journal has had since it was stored.
    pub(crate) fn replayed(message: &StoredMessage<'_>, position: Position) -> Storing {
        let StoredMessage { sequence, time, subject, headers, payload } = *message;
        let wishes = Headers::new(headers).map(ingest::Wishes::read).unwrap_or_default();
        let terms = ingest::terms_of(&wishes, time);
        Storing {
            sequence,
            time,
            subject: subject.into(),
            lengths: [headers.len() as u32, payload.len() as u32],
            position,
            message_id: wishes.message_id.unwrap_or_default().into(),
            rollup: terms.rollup,
            lifetime: terms.lifetime,
            due: terms.schedule.map(|schedule| schedule.at),
            kept: None,
            is_replacing: false,
        }
    }

    /// The bytes that it counts for.
    pub(crate) fn size(&self) -> u64 {
        message_size(self.subject.len(), self.lengths[0] as usize, self.lengths[1] as usize)
    }
}

/// The messages that have to leave because of a message that was stored.
pub(super) struct Trimming {
    subject: Box<[u8]>,
    rollup: Option<(Rollup, u64)>,
}

/// A message that has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gone {
    /// Its sequence.
    pub sequence: u64,
    /// The subject that it was published on, unless it was unknown.
    pub subject: Option<Box<[u8]>>,
}

impl Data {
    /// Stores a message.  A sequence that was stored before changes nothing; false then.  [`Data::trim`] has to follow.
    pub(crate) fn store(&mut self, message: &Storing) -> bool {
        let Storing { sequence, time, lengths, .. } = *message;
        if sequence <= self.index.last() {
            return false;
        }
        self.index.add(sequence, &message.subject, message.size());
        self.contents.journaled.push(message.position, sequence, time, &message.subject, lengths);
        if let Some(kept) = &message.kept {
            self.contents.memory.insert(sequence, Arc::clone(kept));
        }
        self.last_time = time;
        self.last_message_id.clone_from(&message.message_id);
        let index = &self.index;
        match message.lifetime {
            Some(ingest::Lifetime::Never) => self.expiry.add_lasting(sequence),
            Some(ingest::Lifetime::For(span)) => {
                self.expiry.add(sequence, time.saturating_add(span.0), |sequence| index.is_stored(sequence));
            }
            None => {}
        }
        if let Some(due) = message.due {
            self.schedules.add(sequence, due, |sequence| index.is_stored(sequence));
        }
        let rollup = message.rollup.map(|rollup| match rollup {
            ingest::Rollup::Subject => (Rollup::Subject, sequence),
            ingest::Rollup::All => (Rollup::Stream, sequence),
        });
        if rollup.is_some() || self.limits.are_some() {
            self.trimming = Some(Trimming { subject: message.subject.clone(), rollup });
        }
        true
    }

    /// Whether there is room for a message of `size` bytes beside those that are on their way.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn admit(
        &self,
        subject: &[u8],
        size: u64,
        beside: Beside,
    ) -> Result<Result<(), Full>, Missing> {
        let mut missing = None;
        let oldest_size = |first: End| match self.contents.facts(first.sequence) {
            Ok(facts) => facts.map_or(0, |facts| facts.size),
            Err(needed) => {
                missing = Some(needed);
                0
            }
        };
        let admitted = self.limits.admit(&self.index, beside, subject, size, oldest_size);
        missing.map_or(Ok(admitted), Err)
    }

    /// Removes the messages that have to leave because of the one stored last.  Called again after an error, it continues.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn trim(&mut self, gone: &mut Vec<Gone>) -> Result<(), Missing> {
        let Some(mut trimming) = self.trimming.take() else { return Ok(()) };
        let result = self.trim_by(&mut trimming, gone);
        if result.is_err() {
            self.trimming = Some(trimming);
        }
        result
    }

    fn trim_by(&mut self, trimming: &mut Trimming, gone: &mut Vec<Gone>) -> Result<(), Missing> {
        if let Some((rollup, sequence)) = trimming.rollup {
            let subject = trimming.subject.clone();
            self.purge(&Purge::rollup(rollup, &subject, sequence), gone)?;
            trimming.rollup = None;
        }
        while let Some(leaving) = self.limits.leaving(&self.index, &trimming.subject) {
            let sequence = match leaving {
                Leaving::First(sequence) => sequence,
                Leaving::OldestOfSubject(end) if end.is_exact => end.sequence,
                Leaving::OldestOfSubject(end) => {
                    let Some(first) = self.first_on(&trimming.subject, end.sequence)? else { break };
                    first
                }
            };
            self.remove(sequence, gone)?;
        }
        Ok(())
    }

    /// Replaces the definition of the stream, and removes the messages that its limits no longer allow.
    ///
    /// # Errors
    /// If a directory has to be read first; called again, it continues.
    pub(crate) fn define(
        &mut self,
        definition: &StreamDefinition,
        gone: &mut Vec<Gone>,
    ) -> Result<(), Missing> {
        self.limits = Limits::of(definition);
        self.ids.set_window(window(definition.duplicate_window));
        self.definition = definition.clone();
        if self.index.change_history(self.limits.max_messages_per_subject) {
            self.rebuild_index()?;
        }
        loop {
            let over = self.limits.subjects_over(&self.index).next();
            let over = over.map(|(subject, first, count)| (Box::<[u8]>::from(subject), first, count));
            let Some((subject, first, count)) = over else { break };
            let found = self.oldest_on(&subject, first.sequence, count)?;
            if found.is_empty() {
                break;
            }
            for sequence in found {
                self.remove(sequence, gone)?;
            }
        }
        while let Some(Leaving::First(sequence)) = self.limits.leaving_at_all(&self.index) {
            self.remove(sequence, gone)?;
        }
        Ok(())
    }

    /// Adds all messages to a new index, because the sequences of each subject are to be kept from now on.
    fn rebuild_index(&mut self) -> Result<(), Missing> {
        let mut index = Index::new(1, self.limits.max_messages_per_subject);
        index.restore(self.index.first(), self.index.last(), self.index.deleted().clone());
        self.each_known(|sequence, subject, size| index.add_stored(sequence, subject, size))?;
        index.add_unknown(self.index.unknown().clone());
        self.index = index;
        Ok(())
    }
}
