//! The encodings of messages: the form in which each kind of receiver gets them.

mod event;
mod frames;
mod json;
mod resp;

pub use event::server_sent_event;
pub use json::{Values as HeaderValues, headers as headers_by_name};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::Version;

use super::{Message, Subscription, Topic};

/// Makes [`Encoding`] with its numbers.
macro_rules! encodings {
    ($($(#[$attribute:meta])* $name:ident,)*) => {
        /// The form in which a receiver gets messages.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(u8)]
        pub enum Encoding { $($(#[$attribute])* $name,)* }

        impl Encoding {
            const ALL: &[Encoding] = &[$(Encoding::$name),*];
        }
    };
}

encodings! {
    /// An array of RESP2.
    #[default]
    Resp2,
    /// A push of RESP3.
    Resp3,
    /// A server-sent event of a service, with its kind.
    Event,
    /// A server-sent event with the message as a JSON object.
    MessageEvent,
    /// The message as a JSON object on a line of its own.
    JsonLine,
    /// The same with the operation and the subscription's id, for the JSON form of WebSocket.
    Json,
    /// A frame of the broker's protocol: `MSG`, or `HMSG` if the message has headers.
    Frames,
    /// A frame without headers, for clients that do not take them.
    FramesWithoutHeaders,
}

impl Encoding {
    /// The encoding with this number.
    pub(super) fn of(number: u8) -> Encoding {
        Encoding::ALL[usize::from(number)]
    }

    /// Whether the receivers of both subscriptions get the same bytes.
    #[inline]
    pub(super) fn has_one_form(self, one: &Subscription, other: &Subscription) -> bool {
        match self {
            Encoding::Resp2 | Encoding::Resp3 => match (one.topic(), other.topic()) {
                (Topic::Exact(_), Topic::Exact(_)) => true,
                (Topic::Exact(_), _) | (_, Topic::Exact(_)) => false,
                (one, other) => one.text() == other.text(),
            },
            Encoding::Event | Encoding::MessageEvent | Encoding::JsonLine => true,
            Encoding::Json => one.options().answers == other.options().answers && has_one_id(one, other),
            Encoding::Frames | Encoding::FramesWithoutHeaders => has_one_id(one, other),
        }
    }

    /// Appends a message as the receiver of `subscription` gets it.
    pub fn write(self, message: &Message<'_>, subscription: &Subscription, buffer: &mut Buffer) {
        match self {
            Encoding::Resp2 => resp::write(Version::Resp2, message, subscription, buffer),
            Encoding::Resp3 => resp::write(Version::Resp3, message, subscription, buffer),
            Encoding::Event => event::write(message, buffer),
            Encoding::MessageEvent => json::write_event(message, buffer),
            Encoding::JsonLine => json::write_line(message, buffer),
            Encoding::Json => json::write_operation(message, subscription, buffer),
            Encoding::Frames => frames::write(message, subscription, buffer),
            Encoding::FramesWithoutHeaders => {
                frames::write(&Message { headers: &[], ..*message }, subscription, buffer);
            }
        }
    }

    /// Appends a notice that the receiver of `subscription` has missed so many messages at this place.
    pub fn write_gap(self, missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
        match self {
            // Clients of RESP2 do not expect arrays of other kinds.
            Encoding::Resp2 => {}
            Encoding::Resp3 => resp::write_gap(missed, subscription, buffer),
            Encoding::Event | Encoding::MessageEvent => json::write_gap_event(missed, buffer),
            Encoding::JsonLine => json::write_gap_line(missed, buffer),
            Encoding::Json => json::write_gap_operation(missed, subscription, buffer),
            Encoding::Frames => frames::write_gap(missed, subscription, buffer),
            // There is no frame for it that such a client would not take for a message.
            Encoding::FramesWithoutHeaders => {}
        }
    }
}

fn has_one_id(one: &Subscription, other: &Subscription) -> bool {
    one.options().id == other.options().id
}

impl From<Version> for Encoding {
    fn from(version: Version) -> Encoding {
        match version {
            Version::Resp2 => Encoding::Resp2,
            Version::Resp3 => Encoding::Resp3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_has_its_number() {
        for &encoding in Encoding::ALL {
            assert_eq!(Encoding::of(encoding as u8), encoding);
        }
    }
}
