//! What those who listen are told of a resource.

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
