//! The kinds of records.

/// A kind; its number is on disks, so it never gets another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Defined = 1,
    Deleted = 2,
    Stored = 3,
    Removed = 4,
    Cleared = 5,
    ConsumerDefined = 6,
    ConsumerDeleted = 7,
    Consumer = 8,
    Skipped = 9,
    LastTime = 10,
    StreamState = 32,
    Files = 33,
    DeletedSequences = 34,
    Expiry = 35,
    Schedules = 36,
    Lasting = 37,
    Ids = 38,
    ConsumerState = 39,
    Outstanding = 40,
    Leaving = 41,
    Exhausted = 42,
    NextIds = 43,
    Marks = 44,
}

impl Kind {
    pub(super) const ALL: [Kind; 23] = [
        Kind::Defined,
        Kind::Deleted,
        Kind::Stored,
        Kind::Removed,
        Kind::Cleared,
        Kind::ConsumerDefined,
        Kind::ConsumerDeleted,
        Kind::Consumer,
        Kind::Skipped,
        Kind::LastTime,
        Kind::StreamState,
        Kind::Files,
        Kind::DeletedSequences,
        Kind::Expiry,
        Kind::Schedules,
        Kind::Lasting,
        Kind::Ids,
        Kind::ConsumerState,
        Kind::Outstanding,
        Kind::Leaving,
        Kind::Exhausted,
        Kind::NextIds,
        Kind::Marks,
    ];

    /// The kind with this number.
    pub(super) fn of(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}
