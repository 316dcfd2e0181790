//! Removing messages that are too old for their stream, or whose own lifetime has passed.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::together::Step;
use crate::clock::Now;
use crate::delivery::Effects;
use crate::stream::segment::{ReadError, Segment};
use crate::stream::shared::{State, Stream, nanoseconds};
use crate::stream::state::{Missing, Place};
use crate::stream::unapplied::Then;

/// The most messages that are removed in one turn of a stream; then other streams have theirs.
pub(super) const EXPIRED_PER_TURN: usize = 4096;

/// Messages of any age that are passed over in one turn, because they stay whatever their age.
const LASTING_PER_TURN: usize = 8 * EXPIRED_PER_TURN;

/// What a stream knows of the age of its messages.
pub(super) struct Age {
    /// Every message before this one was looked at: it stays whatever its age, or it is about to be removed.
    looked_at: u64,
    /// When the first message from there on was stored, or a time before that.
    time: i64,
    /// The message whose time that is.
    known: u64,
    /// Messages whose own lifetime has passed.
    over: Vec<u64>,
    /// Whether messages that are still stored are about to be removed.
    is_expiring: bool,
}

impl Default for Age {
    fn default() -> Age {
        Age { looked_at: 0, time: i64::MIN, known: 0, over: Vec::new(), is_expiring: false }
    }
}

/// The messages that are removed now.
struct Leaving {
    sequences: RoaringTreemap,
    /// Whether they leave in another order than they came in, so that the journal has to record when they left.
    is_out_of_order: bool,
    /// Subjects that lose their last message, if markers are wanted: where it is, and how many messages leave with it.
    ends: Vec<Ending>,
}

/// A subject that loses its last message.
pub(super) struct Ending {
    pub(super) subject: Box<[u8]>,
    pub(super) last: u64,
    pub(super) place: Place,
    count: u64,
}

impl Stream {
    /// Removes messages that have expired.
    ///
    /// # Errors
    /// If a file cannot be read; the rest is removed all the same.
    pub(super) fn expire(self: &Arc<Stream>, now: Now, effects: &mut Effects) -> Result<(), ReadError> {
        let time = nanoseconds(now);
        let old = self.old_before(time);
        let Some(leaving) = self.with(|state| state.take_leaving(time, old))? else { return Ok(()) };
        let mut marked = Vec::with_capacity(leaving.ends.len());
        for ending in leaving.ends {
            // A marker leaves none behind.
            if !self.is_marker(&ending) {
                marked.push(ending);
            }
        }
        if !leaving.sequences.is_empty() {
            let mut state = self.state.lock();
            self.let_go(&mut state, leaving.sequences, leaving.is_out_of_order, marked, time, effects);
        }
        self.learn_age();
        Ok(())
    }

    /// The sequence before which all messages are too old for the stream.  Unknown messages are as old as the next known one, since
    /// they may be.
    fn old_before(&self, time: i64) -> u64 {
        let before = self.known_old_before(time);
        let state = self.state.lock();
        let index = &state.data.index;
        if before == 0 || index.unknown().is_empty() {
            return before;
        }
        index.known_before(before).map_or(index.first(), |last| last + 1)
    }

    fn known_old_before(&self, time: i64) -> u64 {
        let (segment, journaled, newest) = {
            let state = self.state.lock();
            let Some(age) = state.data.limits().max_age.filter(|_| !state.upkeep.age.is_expiring) else {
                return 0;
            };
            let newest = time.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)).saturating_add(1);
            let contents = &state.data.contents;
            let segments = contents.segments.from(state.first_unseen());
            let segment = segments.into_iter().find(|segment| segment.summary().last_time >= newest);
            let journaled = contents.journaled.at_time(newest);
            (segment, journaled.map_or(state.data.index.last() + 1, |message| message.sequence), newest)
        };
        let Some(segment) = segment else { return journaled };
        let last = segment.readable_before_time(newest).unwrap_or_else(|error| {
            // A file that cannot be read is removed as a whole when its last message is too old.
            self.log_unreadable(&error);
            None
        });
        // What is damaged leaves with the next message that can be read, since it may be as young.
        last.map_or(segment.summary().first, |last| last + 1)
    }

    /// Finds out when the first message that may become too old was stored, if that is not known.
    fn learn_age(&self) {
        let Some((sequence, segment)) = self.state.lock().unknown_age() else { return };
        let time = self.read_one(sequence, |message| message.time);
        let mut state = self.state.lock();
        state.upkeep.age.time = time.unwrap_or(segment.summary().last_time);
        state.upkeep.age.known = sequence;
    }

    /// Removes messages, and stores markers where the last message of a subject is removed.
    fn let_go(
        self: &Arc<Stream>,
        state: &mut State,
        sequences: RoaringTreemap,
        is_out_of_order: bool,
        mut marked: Vec<Ending>,
        time: i64,
        effects: &mut Effects,
    ) {
        let unapplied: std::collections::HashSet<&[u8]> = match marked.is_empty() {
            true => Default::default(),
            false => state.unapplied.newest().map(|storing| &*storing.subject).collect(),
        };
        let is_last = |ending: &Ending| {
            let known = state.data.index.subject(&ending.subject);
            known.is_some_and(|known| known.count == ending.count)
                && !unapplied.contains(&*ending.subject)
                // It may be the subject's last message.
                && state.data.index.last_unknown(u64::MAX) < Some(ending.last)
        };
        marked.retain(is_last);
        let limits = state.data.limits();
        let is_limited = limits.max_messages.is_some()
            || limits.max_bytes.is_some()
            || limits.max_messages_per_subject.is_some();
        // Messages that leave in their order need no record: a start removes them itself once it has looked at
        // the time.
        let is_recorded = !marked.is_empty() || (is_out_of_order && is_limited);
        let lifetime = state.data.definition().subject_delete_marker_ttl;
        let headers = super::markers::headers(lifetime);
        let mut steps = vec![Step::Drop { sequences, is_recorded }];
        steps.extend(marked.iter().map(|ending| Step::Store {
            subject: &ending.subject,
            headers: &headers,
            payload: b"",
        }));
        state.upkeep.age.is_expiring = true;
        let then = Then::Call(Box::new(|stream, _, effects| {
            let mut state = stream.state.lock();
            state.upkeep.age.is_expiring = false;
            stream.plan(&mut state, effects);
        }));
        self.change_together(state, steps, time, then, effects);
    }
}

impl State {
    /// When the next message expires, in nanoseconds since 1970.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        let age = &self.upkeep.age;
        if age.is_expiring {
            return None;
        }
        let own = if age.over.is_empty() { self.data.expiry.next_due() } else { Some(i64::MIN) };
        own.into_iter().chain(self.next_too_old()).min()
    }

    fn next_too_old(&self) -> Option<i64> {
        self.data.limits().max_age?;
        let first = self.data.index.known_from(self.first_unseen())?;
        let journaled = self.data.contents.journaled.get(first);
        self.data.limits().expires_at(journaled.map_or(self.upkeep.age.time, |message| message.time))
    }

    /// The first sequence whose message may become too old.
    fn first_unseen(&self) -> u64 {
        self.data.index.first().max(self.upkeep.age.looked_at)
    }

    /// The first message that may become too old, if it is not known when that was stored.
    fn unknown_age(&self) -> Option<(u64, Arc<Segment>)> {
        self.data.limits().max_age?;
        let first = self.data.index.known_from(self.first_unseen())?;
        if first == self.upkeep.age.known {
            return None;
        }
        match self.data.place(first) {
            Place::File(segment) => Some((first, segment)),
            Place::Memory(_) | Place::Journal(..) | Place::Unknown | Place::Nowhere => None,
        }
    }

    /// Takes expired messages, those before `old` also by the age of the stream; none while others are about to be removed.
    fn take_leaving(&mut self, time: i64, old: u64) -> Result<Option<Leaving>, Missing> {
        let first = self.first_unseen();
        let State { data, upkeep, .. } = self;
        let age = &mut upkeep.age;
        if age.is_expiring {
            return Ok(None);
        }
        while age.over.len() < EXPIRED_PER_TURN
            && let Some(sequence) = data.expiry.take_due(time, |sequence| data.index.is_stored(sequence))
        {
            age.over.push(sequence);
        }
        let mut sequences: RoaringTreemap = age.over.iter().copied().collect();
        let is_out_of_order = !sequences.is_empty() || data.expiry.has_lasting();
        let (mut from, mut left, mut passed) = (first, EXPIRED_PER_TURN - age.over.len(), 0);
        while left > 0
            && passed < LASTING_PER_TURN
            && let Some(sequence) = data.index.stored_from(from).filter(|sequence| *sequence < old)
        {
            if data.expiry.is_lasting(sequence) {
                passed += 1;
            } else {
                sequences.insert(sequence);
                left -= 1;
            }
            from = sequence + 1;
        }
        let ends = match data.definition().subject_delete_marker_ttl.0 > 0 {
            true => self.ends_of(&sequences)?,
            false => Vec::new(),
        };
        self.upkeep.age.over.clear();
        self.upkeep.age.looked_at = from;
        Ok(Some(Leaving { sequences, is_out_of_order, ends }))
    }

    /// The subjects that lose their last message with these removals.
    fn ends_of(&self, sequences: &RoaringTreemap) -> Result<Vec<Ending>, Missing> {
        let mut subjects: HashMap<Box<[u8]>, (u64, u64)> = HashMap::new();
        for sequence in sequences {
            let Some(facts) = self.data.contents.facts(sequence)? else { continue };
            let (count, last) = subjects.entry(facts.subject).or_default();
            *count += 1;
            *last = (*last).max(sequence);
        }
        let mut ends = Vec::new();
        for (subject, (count, last)) in subjects {
            let is_all = self.data.index.subject(&subject).is_some_and(|known| known.count == count);
            if is_all {
                ends.push(Ending { subject, last, place: self.data.place(last), count });
            }
        }
        // Markers come in the order of the messages that they stand for.
        ends.sort_unstable_by_key(|ending| ending.last);
        Ok(ends)
    }
}
