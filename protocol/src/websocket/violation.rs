//! The ways in which a client can break the protocol.

use std::fmt;

use super::CloseCode;
use super::text::InvalidUtf8;

/// A breach of the protocol, or of a limit.  The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A bit stands for an extension that was not agreed on.
    ReservedBits,
    /// The kind of frame is unknown.
    UnknownOpcode,
    /// The frame of a client is not masked.
    Unmasked,
    /// A control frame is not whole.
    FragmentedControl,
    /// A control frame has more than 125 bytes.
    ControlTooLong,
    /// A frame goes on with a message, and there is none.
    UnexpectedContinuation,
    /// A message begins before the last has ended.
    UnfinishedMessage,
    /// A length is written with more bytes than it needs, or with its highest bit.
    InvalidLength,
    /// A closing frame has half a code, or one that no frame may carry.
    InvalidClose,
    /// A message cannot be decompressed.
    InvalidCompression,
    /// A text is no UTF-8.
    InvalidUtf8,
    /// A frame is longer than the limit.
    FrameTooLong,
    /// A message is longer than the limit.
    MessageTooLong,
}

impl Violation {
    /// The code with which the connection is closed.
    pub fn code(self) -> CloseCode {
        match self {
            Violation::InvalidUtf8 | Violation::InvalidCompression => CloseCode::INVALID_DATA,
            Violation::FrameTooLong | Violation::MessageTooLong => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The reason, for a person.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::ReservedBits => "a frame has bits of an extension that was not agreed on",
            Violation::UnknownOpcode => "a frame has an unknown opcode",
            Violation::Unmasked => "a frame of a client is not masked",
            Violation::FragmentedControl => "a control frame is fragmented",
            Violation::ControlTooLong => "a control frame has more than 125 bytes",
            Violation::UnexpectedContinuation => "a frame continues no message",
            Violation::UnfinishedMessage => "a message begins inside another one",
            Violation::InvalidLength => "a length is not in its shortest form",
            Violation::InvalidClose => "a close frame has no valid code",
            Violation::InvalidCompression => "a message cannot be decompressed",
            Violation::InvalidUtf8 => "a text is not UTF-8",
            Violation::FrameTooLong => "a frame is too long",
            Violation::MessageTooLong => "a message is too long",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl std::error::Error for Violation {}

impl From<InvalidUtf8> for Violation {
    fn from(_: InvalidUtf8) -> Violation {
        Violation::InvalidUtf8
    }
}
