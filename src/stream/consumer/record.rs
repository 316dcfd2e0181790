//! What of a consumer outlives the server: its state at a moment, and the changes since.
//!
//! A record names sequences and numbers of deliveries, not differences, so that it changes nothing if the state that it is
//! replayed upon has seen it already.  Definitions have records of their own, which the stream's owner keeps.
//!
//! **A dead letter is stored exactly once** by the order of records.  [`Record::Leaving`] comes first: from then on the message is
//! delivered no more.  Then its copy is stored on the dead-letter subject, and with it, in one append, [`Record::Left`].  A server that
//! was killed between them finds a message that is leaving, and asks for the dead letter again, marked as repeated.  A copy that is
//! in the journal without its [`Record::Left`] names stream, consumer and sequence in its headers: whoever replays it calls
//! [`super::Consumer::left`], as the append would have done, so it is not asked for again.

use super::effect::Cause;

/// One change of a consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Messages were delivered for the first time, one after the other.
    Delivered {
        /// The first of them; the others follow without a gap.
        sequence: u64,
        /// The number of the first delivery.
        consumer_sequence: u64,
        /// How many there are.
        count: u32,
        /// When, in microseconds since 1970.
        at: i64,
    },
    /// Messages were delivered that need no acknowledgement, up to here.
    Passed {
        /// The last of them.
        sequence: u64,
        /// The number of its delivery.
        consumer_sequence: u64,
    },
    /// A message was delivered again.
    Redelivered {
        /// The message.
        sequence: u64,
        /// The number of this delivery.
        consumer_sequence: u64,
        /// How often it was delivered with this time.
        deliveries: u32,
        /// When, in microseconds since 1970.
        at: i64,
    },
    /// A message was acknowledged.
    Acknowledged {
        /// The message.
        sequence: u64,
    },
    /// A message was acknowledged, and all before it.
    AcknowledgedThrough {
        /// The last of them.
        sequence: u64,
    },
    /// A message is to be delivered again.
    Rejected {
        /// The message.
        sequence: u64,
        /// How often it was delivered when that was asked for.
        deliveries: u32,
        /// When it is to be delivered, in microseconds since 1970.
        due: i64,
    },
    /// A message is delivered no more and stays in its stream.
    Exhausted {
        /// The message.
        sequence: u64,
    },
    /// A message is delivered no more and is to be stored as a dead letter.
    Leaving(Leaving),
    /// The dead letter is stored.
    Left {
        /// The message.
        sequence: u64,
    },
}

/// A message that is to be stored as a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaving {
    /// The message.
    pub sequence: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Why it leaves.
    pub cause: Cause,
}

/// The state of a consumer at a moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The sequence up to which it is through.
    pub position: u64,
    /// The number of its last delivery.
    pub delivered: u64,
    /// Up to which sequence it still delivers only the last message of each subject.
    pub newest_until: Option<u64>,
    /// Up to which sequence it delivers with the original pauses.
    pub original_until: Option<u64>,
    /// The messages without an acknowledgement, in ascending order.
    pub outstanding: Vec<OutstandingMessage>,
    /// The messages that are to be stored as dead letters, in ascending order.
    pub leaving: Vec<Leaving>,
    /// The messages that are delivered no more and stay in the stream, in ascending order.
    pub exhausted: Vec<u64>,
}

/// A message without an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutstandingMessage {
    /// The message.
    pub sequence: u64,
    /// The number of its first delivery.
    pub consumer_sequence: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// When it is to be delivered again, in microseconds since 1970.
    pub due: i64,
    /// Whether a negative acknowledgement put it off until then.
    pub is_delayed: bool,
}
