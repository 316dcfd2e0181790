//! What the table of locks tells its surroundings: answers to who waited, notices to who listens, records to be kept.

use smallvec::SmallVec;

use super::keeping::Durability;
use super::records::Record;

/// Interner a request that waits; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaiterId(pub u64);

/// What was given to an owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Larger than that of every grant before it.
    pub fence: u64,
    /// How long the lease lasts from now, in milliseconds; none if it lasts as long as its session.
    pub ttl: Option<u64>,
    /// How often the owner holds it.
    pub holds: u32,
    /// How long it was waited for, in milliseconds.
    pub waited: u64,
    /// When it ends, in microseconds; none if only the table knows, since a session keeps it.
    pub(super) deadline: Option<u64>,
    /// The leases, by which it can be withdrawn.
    pub(super) leases: SmallVec<[usize; 1]>,
    /// What of it is new, and is taken back if nobody hears of it.
    pub(super) undo: Undo,
    /// Of a request with an id that waited or was made before, the owner: where one was made up for each try, the first
    /// counts.
    pub owner: Option<Box<[u8]>>,
    /// The key under which the request is remembered; empty if it has no id.
    pub(super) request: Box<[u8]>,
}

/// What a reply about a lease tells that nobody knew before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Undo {
    /// Nothing: the owner holds what it held.
    Nothing,
    /// That it was told of a change that was made for an earlier try of the request.
    Claim,
    /// A hold on each resource.
    Hold,
    /// That a lease is exclusive, which was shared under this fence.
    Upgrade(u64),
}

/// How waiting ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With what was waited for.
    Granted(Grant),
    /// The time to wait was over.
    TimedOut,
    /// It was cancelled by LOCK.CANCEL.
    Cancelled,
    /// A retry of the same request took its place.
    Superseded,
    /// The session it was for has ended.
    SessionEnded,
    /// The lease that was to be upgraded has ended.
    LeaseLost,
}

/// What happened to a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// An owner has got it.
    Acquired,
    /// Its holder has given it back.
    Released,
    /// The time of its lease was over.
    Expired,
    /// An operator has taken it away.
    Forced,
    /// Somebody waits for it.
    Contended,
    /// Its holder's session was lost; it is free after the session's delay.
    Lost,
    /// Waiting for it would have closed a circle.
    Deadlock,
}

impl NoticeKind {
    /// The word by which it is published.
    pub fn word(self) -> &'static str {
        match self {
            NoticeKind::Acquired => "acquired",
            NoticeKind::Released => "released",
            NoticeKind::Expired => "expired",
            NoticeKind::Forced => "forced",
            NoticeKind::Contended => "contended",
            NoticeKind::Lost => "lost",
            NoticeKind::Deadlock => "deadlock",
        }
    }
}

/// Something that happened to a resource, for those who listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// The resource.
    pub resource: Vec<u8>,
    /// Whose lease or wait it is about.
    pub owner: Vec<u8>,
    /// The fence of the lease; 0 if there is none.
    pub fence: u64,
    /// How many wait for the resource.
    pub waiters: usize,
    /// Why it was forced, or the circle of a deadlock.
    pub reason: Vec<u8>,
}

/// What has happened since this was last looked at.
#[derive(Default, Debug)]
pub struct Events {
    /// Answers to who waited.
    pub answers: Vec<(WaiterId, Outcome)>,
    /// Notices, if anybody listens.
    pub notices: Vec<Notice>,
    /// Whether anybody listens.
    pub wants_notices: bool,
    /// What is to be written down.
    pub keeps: Durability,
    /// Records, one after the other.
    records: Vec<u8>,
    /// Where each record ends.
    record_ends: Vec<usize>,
}

impl Events {
    /// Notes an answer.
    pub(super) fn answer(&mut self, waiter: WaiterId, outcome: Outcome) {
        self.answers.push((waiter, outcome));
    }

    /// Notes a record.
    pub(super) fn record(&mut self, record: &Record<'_>) {
        let is_kept = match self.keeps {
            Durability::None => false,
            Durability::Fence => matches!(record, Record::FenceRange { .. }),
            Durability::Full => true,
        };
        if is_kept {
            record.write(&mut self.records);
            self.record_ends.push(self.records.len());
        }
    }

    /// Whether there are records.
    pub fn has_records(&self) -> bool {
        !self.record_ends.is_empty()
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.record_ends.iter().copied());
        starts.zip(&self.record_ends).map(|(start, &end)| &self.records[start..end])
    }

    /// Forgets the records.
    pub fn clear_records(&mut self) {
        self.records.clear();
        self.record_ends.clear();
    }
}
