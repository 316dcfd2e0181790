//! The codes with which a connection is closed.

/// A code that a frame may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The conversation is over.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server stops.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// The peer sent a kind of message that is not taken.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// A message is not what its kind promises, for example text that is no UTF-8.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// The peer may not do this, for example because it gave no password.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message is longer than the receiver takes.
    pub const TOO_BIG: CloseCode = CloseCode(1009);

    /// The code with this number, if a frame may carry it: the others are reserved, or say what happened without a frame.
    pub fn of(number: u16) -> Option<CloseCode> {
        matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(CloseCode(number))
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }
}
