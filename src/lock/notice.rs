//! Events of a resource, and the channel they are published on.

/// An event of a resource, for listeners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// An owner has acquired it.
    Acquired,
    /// Its holder has released it.
    Released,
    /// Its lease has expired.
    Expired,
    /// An operator has taken it away.
    Forced,
    /// A request waits for it.
    Contended,
    /// Its holder's session is lost; the lease ends after the session's delay.
    Lost,
    /// A wait for it was refused, since it would have closed a circle.
    Deadlock,
}

impl NoticeKind {
    /// The word under which it is published.
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

/// How the channels of all resources begin.
pub(super) const CHANNEL_PREFIX: &[u8] = b"__lock__:";

/// The channel on which the events of a resource are published.
pub fn channel_of(resource: &[u8]) -> Vec<u8> {
    [CHANNEL_PREFIX, resource].concat()
}

/// Something that happened to a resource, to be published on its channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The kind of event.
    pub kind: NoticeKind,
    /// The resource.
    pub resource: Vec<u8>,
    /// The owner of the lease or of the waiting request.
    pub owner: Vec<u8>,
    /// The fence of the lease; 0 if there is none.
    pub fence: u64,
    /// The number of requests that wait for the resource.
    pub waiters: usize,
    /// The operator's reason, or the circle of a deadlock.
    pub reason: Vec<u8>,
}
