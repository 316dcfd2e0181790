//! What a client says: operations, and the ways in which bytes are none.

use std::fmt;

/// One operation of a client.  Its parts lie in the input that it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// `CONNECT {...}`: who the client is and what it wants.  The text is not looked at and should be a JSON object.
    Connect(&'a [u8]),
    /// `PING`: asks for a `PONG`.
    Ping,
    /// `PONG`: answers a `PING`.
    Pong,
    /// `INFO`, which only servers say; it means nothing.
    Info,
    /// `+OK`, which only servers say; it means nothing.
    Ok,
    /// `-ERR` with its text: the client gives up.
    Error(&'a [u8]),
    /// `PUB` or `HPUB`.
    Publish(Publication<'a>),
    /// `SUB subject [group] sid`.
    Subscribe {
        /// The pattern, which was not checked.
        subject: &'a [u8],
        /// The queue group, of which one member gets each message.
        group: Option<&'a [u8]>,
        /// The client's name for the subscription.
        sid: &'a [u8],
    },
    /// `UNSUB sid [max]`.
    Unsubscribe {
        /// The client's name for the subscription.
        sid: &'a [u8],
        /// The subscription ends once so many messages were delivered, counted from its start; at once if there is no
        /// number, or none above zero.
        maximum: Option<u64>,
    },
}

/// A message that a client publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The subject, which was not checked, but is not empty and holds neither white space nor line ends.
    pub subject: &'a [u8],
    /// Where answers should go; empty if the client wants none.
    pub reply: &'a [u8],
    /// The header block of an `HPUB`, whole and unchecked; empty for a `PUB`.
    pub headers: &'a [u8],
    /// The payload without the headers.
    pub payload: &'a [u8],
    /// Whether the client said `HPUB`, which it may do only if it asked for headers.
    pub has_headers: bool,
}

/// A violation of the protocol, which ends the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformation {
    /// The line begins with no operation, or the bytes behind a payload are no line end.
    UnknownOperation,
    /// The arguments of an operation are longer than the limit.
    ControlLineTooLong,
    /// A payload was announced that is longer than the limit.
    PayloadTooLong,
    /// An operation has too few or too many arguments.
    ArgumentCount,
    /// The announced length of a payload or of headers is no number.
    InvalidLength,
    /// The headers are announced to be longer than headers and payload together.
    HeadersTooLong,
}

impl Malformation {
    /// The text of the `-ERR` before the connection is closed.  NATS closes it without a word for some kinds.
    pub fn answer(self) -> Option<&'static str> {
        match self {
            Self::UnknownOperation => Some("Unknown Protocol Operation"),
            Self::ControlLineTooLong => Some("maximum control line exceeded"),
            Self::PayloadTooLong => Some("Maximum Payload Violation"),
            Self::ArgumentCount | Self::InvalidLength | Self::HeadersTooLong => None,
        }
    }
}

impl fmt::Display for Malformation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownOperation => "unknown protocol operation",
            Self::ControlLineTooLong => "maximum control line exceeded",
            Self::PayloadTooLong => "maximum payload violation",
            Self::ArgumentCount => "wrong number of arguments",
            Self::InvalidLength => "the length of a payload or of headers is no number",
            Self::HeadersTooLong => "headers longer than headers and payload together",
        })
    }
}

impl std::error::Error for Malformation {}
