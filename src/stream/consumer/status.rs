//! The statuses that receivers get: messages without a payload whose headers say the state of a request or a consumer.
//!
//! Clients compare the descriptions, so they are NATS' to the letter.

use std::borrow::Cow;
use std::time::Duration;

use crate::stream::header_names;
use crate::stream::json::Nanoseconds;

/// What a status is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A heartbeat: it tells a waiting receiver that the consumer lives.
    IdleHeartbeat,
    /// A receiver is asked to say when it has come this far.
    FlowControl,
    /// A heartbeat would come less than twice before the request expires.
    HeartbeatTooLarge,
    /// Only consumers with the policy overflow know lower limits of what is pending.
    NotOverflow,
    /// Only consumers with the policy pinned_client know ids of clients.
    NotPinnedClient,
    /// The consumer has priority groups and the request names none.
    GroupMissing,
    /// The request names a group that the consumer does not have.
    GroupInvalid,
    /// There is nothing for a request that does not wait.
    NoMessages,
    /// A request has expired.
    RequestTimeout,
    /// Requests before this one will take what is there.
    RequestsPending,
    /// The next message is larger than what is left of a request's bytes.
    MaxBytesExceeded,
    /// The request has all its messages, though not all its bytes.
    BatchCompleted,
    /// Too many requests wait already.
    MaxWaiting,
    /// The request asks for too many messages.
    MaxBatch,
    /// The request wants to wait for too long.
    MaxExpires,
    /// The request asks for too many bytes.
    MaxBytes,
    /// The consumer was deleted.
    ConsumerDeleted,
    /// One cannot ask a push consumer.
    PushBased,
    /// The server stops.
    ServerShutdown,
    /// A waiting request has the id of a client that the group is no longer pinned to.
    WrongPinId,
    /// A new request has the id of a client that the group is not pinned to.
    PinIdMismatch,
    /// What the stream's files hold cannot be read.  nats-server leaves the request without an answer.
    StreamUnreadable,
}

/// Code and description of each kind.  Where the description ends with ` of`, the limit follows.
pub const STATUSES: &[(Kind, u16, &str)] = &[
    (Kind::IdleHeartbeat, 100, "Idle Heartbeat"),
    (Kind::FlowControl, 100, "FlowControl Request"),
    (Kind::HeartbeatTooLarge, 400, "Bad Request - heartbeat value too large"),
    (Kind::NotOverflow, 400, "Bad Request - Not a Overflow Priority consumer"),
    (Kind::NotPinnedClient, 400, "Bad Request - Not a Pinned Client Priority consumer"),
    (Kind::GroupMissing, 400, "Bad Request - Priority Group missing"),
    (Kind::GroupInvalid, 400, "Bad Request - Invalid Priority Group"),
    (Kind::NoMessages, 404, "No Messages"),
    (Kind::RequestTimeout, 408, "Request Timeout"),
    (Kind::RequestsPending, 408, "Requests Pending"),
    (Kind::MaxBytesExceeded, 409, "Message Size Exceeds MaxBytes"),
    (Kind::BatchCompleted, 409, "Batch Completed"),
    (Kind::MaxWaiting, 409, "Exceeded MaxWaiting"),
    (Kind::MaxBatch, 409, "Exceeded MaxRequestBatch of"),
    (Kind::MaxExpires, 409, "Exceeded MaxRequestExpires of"),
    (Kind::MaxBytes, 409, "Exceeded MaxRequestMaxBytes of"),
    (Kind::ConsumerDeleted, 409, "Consumer Deleted"),
    (Kind::PushBased, 409, "Consumer is push based"),
    (Kind::ServerShutdown, 409, "Server Shutdown"),
    (Kind::WrongPinId, 423, "Nats-Wrong-Pin-Id"),
    (Kind::PinIdMismatch, 423, "Nats-Pin-Id mismatch"),
    (Kind::StreamUnreadable, 500, "Cannot Read Messages"),
];

/// A status with what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// What it is about.
    pub kind: Kind,
    /// What else it says.
    pub detail: Detail,
}

/// What a status says besides its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Nothing.
    None,
    /// A limit that was exceeded.
    Limit(u64),
    /// A limit of time that was exceeded.
    Span(Duration),
    /// What a request asked for and did not get.
    Rest {
        /// Messages.
        messages: u32,
        /// Bytes; 0 if it set no limit.
        bytes: usize,
    },
    /// How far a consumer is.
    Delivered {
        /// The number of its last delivery.
        consumer: u64,
        /// The sequence up to which it is through.
        stream: u64,
        /// The question of flow control that the receiver has not answered, if the consumer waits for that.
        stalled: Option<FlowToken>,
    },
    /// The question of flow control.
    Flow(FlowToken),
}

/// Which question of flow control is meant; the last token of the subject on which it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowToken(pub u32);

impl FlowToken {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The token of a flow control question, from the number of earlier ones.  After a million, tokens repeat.
    pub fn of(number: u32) -> FlowToken {
        FlowToken(number % (1 << 20))
    }

    /// The token's four characters.
    pub fn text(self) -> [u8; 4] {
        [15, 10, 5, 0].map(|shift| FlowToken::DIGITS[(self.0 >> shift) as usize % FlowToken::DIGITS.len()])
    }

    /// The token of these four characters.
    pub fn read(text: &[u8]) -> Option<FlowToken> {
        let text: [u8; 4] = text.try_into().ok()?;
        let mut number = 0;
        for character in text {
            let digit = FlowToken::DIGITS.iter().position(|digit| *digit == character)?;
            number = (number << 5) | u32::try_from(digit).ok()?;
        }
        Some(FlowToken(number))
    }
}

impl Status {
    pub(in crate::stream) fn of(kind: Kind) -> Status {
        Status { kind, detail: Detail::None }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.row().0
    }

    /// The text that clients compare.
    pub fn description(&self) -> Cow<'static, str> {
        let text = self.row().1;
        match self.detail {
            Detail::Limit(number) => format!("{text} {number}").into(),
            Detail::Span(span) => format!("{text} {}", Nanoseconds::of(span)).into(),
            _ => text.into(),
        }
    }

    /// The headers with a number that follow.  The heartbeat of a stalled consumer has `Nats-Consumer-Stalled` besides,
    /// whose value is a subject.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let headers = match self.detail {
            Detail::Rest { messages, bytes } => [
                Some((header_names::PENDING_MESSAGES, u64::from(messages))),
                Some((header_names::PENDING_BYTES, bytes as u64)),
            ],
            Detail::Delivered { consumer, stream, .. } => {
                [Some((header_names::LAST_CONSUMER, consumer)), Some((header_names::LAST_STREAM, stream))]
            }
            _ => [None, None],
        };
        headers.into_iter().flatten()
    }

    fn row(&self) -> (u16, &'static str) {
        let row = STATUSES.iter().find(|(kind, ..)| *kind == self.kind);
        row.map(|(_, code, description)| (*code, *description))
            .expect("every kind has its row, as a test shows")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses as clients know them, written down once more.
    #[test]
    fn codes_and_descriptions_are_those_that_clients_compare() {
        let rest = Detail::Rest { messages: 3, bytes: 4096 };
        let delivered = Detail::Delivered { consumer: 5, stream: 9, stalled: None };
        let pending = "Nats-Pending-Messages: 3, Nats-Pending-Bytes: 4096";
        let table = [
            (
                Kind::IdleHeartbeat,
                delivered,
                "100 Idle Heartbeat",
                "Nats-Last-Consumer: 5, Nats-Last-Stream: 9",
            ),
            (Kind::FlowControl, Detail::Flow(FlowToken(1)), "100 FlowControl Request", ""),
            (Kind::HeartbeatTooLarge, Detail::None, "400 Bad Request - heartbeat value too large", ""),
            (Kind::NotOverflow, Detail::None, "400 Bad Request - Not a Overflow Priority consumer", ""),
            (
                Kind::NotPinnedClient,
                Detail::None,
                "400 Bad Request - Not a Pinned Client Priority consumer",
                "",
            ),
            (Kind::GroupMissing, Detail::None, "400 Bad Request - Priority Group missing", ""),
            (Kind::GroupInvalid, Detail::None, "400 Bad Request - Invalid Priority Group", ""),
            (Kind::NoMessages, Detail::None, "404 No Messages", ""),
            (Kind::RequestTimeout, rest, "408 Request Timeout", pending),
            (Kind::RequestsPending, Detail::None, "408 Requests Pending", ""),
            (Kind::MaxBytesExceeded, rest, "409 Message Size Exceeds MaxBytes", pending),
            (Kind::BatchCompleted, rest, "409 Batch Completed", pending),
            (Kind::MaxWaiting, Detail::None, "409 Exceeded MaxWaiting", ""),
            (Kind::MaxBatch, Detail::Limit(5), "409 Exceeded MaxRequestBatch of 5", ""),
            (
                Kind::MaxExpires,
                Detail::Span(Duration::from_secs(60)),
                "409 Exceeded MaxRequestExpires of 1m0s",
                "",
            ),
            (Kind::MaxBytes, Detail::Limit(1024), "409 Exceeded MaxRequestMaxBytes of 1024", ""),
            (Kind::ConsumerDeleted, Detail::None, "409 Consumer Deleted", ""),
            (Kind::PushBased, Detail::None, "409 Consumer is push based", ""),
            (Kind::ServerShutdown, Detail::None, "409 Server Shutdown", ""),
            (Kind::WrongPinId, rest, "423 Nats-Wrong-Pin-Id", pending),
            (Kind::PinIdMismatch, Detail::None, "423 Nats-Pin-Id mismatch", ""),
            (Kind::StreamUnreadable, Detail::None, "500 Cannot Read Messages", ""),
        ];
        assert_eq!(table.len(), STATUSES.len());
        for ((kind, detail, line, headers), (listed, ..)) in table.into_iter().zip(STATUSES) {
            let status = Status { kind, detail };
            assert_eq!(kind, *listed);
            assert_eq!(format!("{} {}", status.code(), status.description()), line);
            let written: Vec<_> = status.headers().map(|(name, value)| format!("{name}: {value}")).collect();
            assert_eq!(written.join(", "), headers);
        }
    }

    #[test]
    fn questions_of_flow_control_have_four_characters() {
        assert_eq!(&FlowToken(0).text(), b"0000");
        assert_eq!(&FlowToken(33).text(), b"0011");
        assert_eq!(&FlowToken(u32::MAX).text(), b"ZZZZ");
        for number in [0, 1, 33, 1_000_000, (1 << 20) - 1, 1 << 20, u32::MAX] {
            let token = FlowToken::of(number);
            assert_eq!(FlowToken::read(&token.text()), Some(token));
        }
        for wrong in [&b""[..], b"000", b"00000", b"000I", b"000a"] {
            assert_eq!(FlowToken::read(wrong), None);
        }
    }
}
