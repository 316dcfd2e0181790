//! Events of a resource, and the channel they are published on.

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

/// The channel on which the events of a resource are published.
pub fn channel_of(resource: &[u8]) -> Vec<u8> {
    [b"__lock__:", resource].concat()
}

/// Something that happened to a resource, to be published on its channel.
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
