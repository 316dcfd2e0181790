//! The names of waiters, requests and sessions.

use std::fmt;

/// Names a waiting request; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaiterId(pub u64);

/// Names a request, so that its client can repeat it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestId<'a> {
    /// The owner among whose requests the id is unique; empty if it is unique on the whole server.
    pub scope: &'a [u8],
    /// The id; empty if the request has none.
    pub id: &'a [u8],
}

/// Names a session; it is not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// Sixteen hexadecimal digits: text, since not all languages keep 64 bits of a number.
impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl SessionId {
    /// The session with this name; none if no session can have it.
    pub fn parse(name: &[u8]) -> Option<SessionId> {
        let is_name = name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(name).ok().filter(|_| is_name)?;
        u64::from_str_radix(digits, 16).ok().filter(|&id| id != 0).map(SessionId)
    }
}
