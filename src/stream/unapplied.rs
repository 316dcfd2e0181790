//! The changes of a stream that were appended to the journal and are not applied yet, since the disk may not have them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::api::error::ApiError;
use super::consumers::Defined;
use super::definition::StreamDefinition;
use super::record::Removal;
use super::shared::Stream;
use super::state::Storing;
use crate::delivery::Effects;
use crate::wait::{Lost, Position};

/// The most changes of one stream that wait for the disk, and the most bytes of messages among them.  Publishers are slowed down from
/// half of that on, and refused beyond it, unless the stream is in memory.  All streams together have the bound of the
/// journal's [`pending_max`](crate::journal::Options::pending_max).
pub(super) const CHANGES_MAX: usize = 100_000;
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// The most messages that one change removes while the lock of its stream is held; then others have it for a moment.
pub(super) const REMOVALS_PER_LOCK: usize = 1024;

/// A change that the journal has.
pub(super) enum Change {
    /// No change: only its continuation, which waits for the changes before it.
    Nothing,
    /// A message is stored.
    Store(Box<Storing>),
    /// Messages are removed.
    Remove(RoaringTreemap, Removal),
    /// All messages before a sequence are removed.
    ClearBefore(u64),
    /// No sequence up to this one is used again, since publishers may know of messages that a crash has lost.
    Skip(u64),
    /// The stream has another definition, or its first.
    Define(Box<StreamDefinition>),
    /// A consumer is new, or has another definition.
    DefineConsumer(Arc<Defined>),
    /// A consumer is gone.
    DeleteConsumer(u64),
    /// The stream is gone.
    Delete,
}

/// Called once a change is applied, without a lock; or once it is known that it is not.
pub(super) type Continuation = Box<dyn FnOnce(&Arc<Stream>, Result<(), Lost>, &mut Effects) + Send>;

/// What comes after a change.
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// Acknowledge a message to its publisher, on this subject.
    Acknowledge { reply: Box<[u8]>, sequence: u64, is_duplicate: bool },
    /// Tell a publisher why its message is not stored.
    Refuse { reply: Box<[u8]>, error: Box<ApiError> },
    /// Call a function.
    Call(Continuation),
    /// Call a function that only reads.  While the disk has no room it does not wait.
    Read(Continuation),
    /// Call a function, but only once all changes other than messages are applied: it decides something that depends on them.
    Decide(Continuation),
}

impl Change {
    /// What of the change is to be applied first, if it removes more messages than it should in one step.
    pub(super) fn first_part(&self) -> Option<Change> {
        let Change::Remove(sequences, removal) = self else { return None };
        let is_long = sequences.len() > REMOVALS_PER_LOCK as u64;
        is_long.then(|| Change::Remove(sequences.iter().take(REMOVALS_PER_LOCK).collect(), *removal))
    }

    /// Drops a part that was applied.
    pub(super) fn drop_part(&mut self, part: &Change) {
        if let (Change::Remove(sequences, _), Change::Remove(done, _)) = (self, part) {
            *sequences -= done;
        }
    }

    /// Whether a decision has to wait until this change is applied.
    fn is_decisive(&self) -> bool {
        !matches!(self, Change::Nothing | Change::Store(_) | Change::Remove(_, Removal::Ended))
    }
}

/// A change with its position and its continuation.
pub(super) struct Entry {
    /// From which position on the disk has it.
    pub(super) end: Position,
    pub(super) change: Change,
    pub(super) then: Then,
}

/// The messages of a subject among the changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct OfSubject {
    pub(super) count: u64,
    /// The sequence of the last one.
    pub(super) last: u64,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Unapplied {
    entries: VecDeque<Entry>,
    /// The messages among them, those that take no other's place, and the bytes of all.
    messages: u64,
    added: u64,
    bytes: u64,
    /// The messages by subject; noted from when somebody asks, since most streams never do.
    by_subject: Option<HashMap<Box<[u8]>, OfSubject>>,
    /// The changes among them that are neither messages nor nothing.
    decisive: usize,
}

impl Unapplied {
    /// The messages among them, and their bytes.
    pub(super) fn stored(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// Whether no more messages are to be added.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= CHANGES_MAX || self.bytes >= BYTES_MAX
    }

    /// Whether publishers are to be slowed down, so that it does not get full.
    pub(super) fn is_half_full(&self) -> bool {
        self.entries.len() >= CHANGES_MAX / 2 || self.bytes >= BYTES_MAX / 2
    }

    /// How many messages a stream has more once they are applied: those that take the place of another do not count.
    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// The messages of a subject among them.
    pub(super) fn of_subject(&mut self, subject: &[u8]) -> OfSubject {
        let Unapplied { entries, by_subject, .. } = self;
        let by_subject = by_subject.get_or_insert_with(|| {
            let mut noted = HashMap::new();
            entries.iter().for_each(|entry| note(&mut noted, entry));
            noted
        });
        by_subject.get(subject).copied().unwrap_or_default()
    }

    /// Whether there are changes that a decision has to wait for.
    pub(super) fn has_decisive(&self) -> bool {
        self.decisive > 0
    }

    /// The end of the last change.
    pub(super) fn end(&self) -> Option<Position> {
        self.entries.back().map(|entry| entry.end)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.count(&entry);
        self.entries.push_back(entry);
    }

    /// Puts the first change back.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.count(&entry);
        self.entries.push_front(entry);
    }

    fn count(&mut self, entry: &Entry) {
        if let Change::Store(storing) = &entry.change {
            self.messages += 1;
            self.added += u64::from(!storing.is_replacing);
            self.bytes += storing.size();
        }
        self.decisive += usize::from(entry.change.is_decisive());
        self.by_subject.iter_mut().for_each(|noted| note(noted, entry));
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if let Change::Store(storing) = &entry.change {
            self.messages -= 1;
            self.added -= u64::from(!storing.is_replacing);
            self.bytes -= storing.size();
            self.by_subject.iter_mut().for_each(|noted| forget(noted, &storing.subject));
        }
        self.decisive -= usize::from(entry.change.is_decisive());
        Some(entry)
    }

    /// Takes out the continuations that only read.
    pub(super) fn take_reads(&mut self) -> Vec<Then> {
        let is_read = |entry: &Entry| matches!(entry.then, Then::Read(_));
        if !self.entries.iter().any(is_read) {
            return Vec::new();
        }
        let (reads, others): (VecDeque<_>, _) =
            std::mem::take(&mut self.entries).into_iter().partition(is_read);
        self.entries = others;
        reads.into_iter().map(|entry| entry.then).collect()
    }

    /// The last sequence that one of them gives or passes over.
    pub(super) fn last_sequence(&self) -> Option<u64> {
        self.entries.iter().rev().find_map(|entry| match &entry.change {
            Change::Store(storing) => Some(storing.sequence),
            Change::ClearBefore(next) => Some(next.saturating_sub(1)),
            Change::Skip(last) => Some(*last),
            _ => None,
        })
    }

    /// The messages among them, the last one first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Storing> {
        self.entries.iter().rev().filter_map(|entry| match &entry.change {
            Change::Store(storing) => Some(&**storing),
            _ => None,
        })
    }
}

fn note(noted: &mut HashMap<Box<[u8]>, OfSubject>, entry: &Entry) {
    let Change::Store(storing) = &entry.change else { return };
    let of_subject = noted.entry(storing.subject.clone()).or_default();
    of_subject.count += 1;
    of_subject.last = of_subject.last.max(storing.sequence);
}

/// Forgets the first message of a subject.
fn forget(noted: &mut HashMap<Box<[u8]>, OfSubject>, subject: &[u8]) {
    let Some(of_subject) = noted.get_mut(subject) else { return };
    of_subject.count -= 1;
    if of_subject.count == 0 {
        noted.remove(subject);
    }
}
