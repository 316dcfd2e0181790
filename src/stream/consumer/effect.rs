//! What a consumer wants done: values that the wiring carries out in their order.

use std::sync::Arc;
use std::time::Duration;

use super::acknowledge::DeliveryId;
use super::messages::Messages;
use super::pin::PinId;
use super::record::Record;
use super::status::Status;
use crate::clock::Now;

/// The subject on which a receiver gets messages and statuses: the reply subject of its request, or the subject of a push
/// consumer.
pub type Target = Arc<[u8]>;

/// One turn of a consumer: the time, what it can see, and where its effects go.
pub struct Turn<'t> {
    /// The time of the turn.
    pub now: Now,
    /// The messages of its stream.
    pub messages: &'t dyn Messages,
    /// Whether somebody still wants what is sent to a target.
    pub is_wanted: &'t dyn Fn(&[u8]) -> bool,
    /// Where the effects go.
    pub effects: &'t mut Vec<Effect>,
}

impl Turn<'_> {
    /// The time on the clock of deadlines.
    pub(super) fn micros(&self) -> u64 {
        self.now.micros()
    }

    pub(super) fn status(&mut self, target: &Target, status: Status) {
        self.effects.push(Effect::Status { target: target.clone(), status });
    }
}

/// See the module's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send a message.
    Deliver(Delivery),
    /// Send a message that has only headers.
    Status {
        /// To whom.
        target: Target,
        /// What it says.
        status: Status,
    },
    /// Append a record to the journal; nobody waits for it unless an acknowledgement wants an answer.
    Keep(Record),
    /// The stream need not keep this message for this consumer any longer.  Only with [`super::rules::Retention::Consumed`].
    Done {
        /// The message.
        sequence: u64,
    },
    /// Tell of a message that is delivered no more because it was delivered often enough.  It stays in its stream.
    MaxDeliveries {
        /// The message.
        sequence: u64,
        /// How often it was delivered.
        deliveries: u32,
    },
    /// Store the message on the dead-letter subject, then call [`super::Consumer::left`].
    DeadLetter(DeadLetter),
    /// Report how long a receiver took to acknowledge a message.
    Acknowledged {
        /// The delivery that was acknowledged.
        told: Told,
        /// How long it took.
        after: Duration,
    },
    /// Tell of a negative acknowledgement.
    Rejected(Told),
    /// Tell of a message that its receiver gave up.
    Terminated {
        /// Which one.
        told: Told,
        /// Why, in the receiver's words; may be empty.
        reason: Box<[u8]>,
    },
    /// Tell that a client got hold of a priority group.
    Pinned {
        /// Its id.
        id: PinId,
    },
    /// Tell that a client lost hold of its priority group.
    Unpinned {
        /// How.
        cause: UnpinCause,
    },
    /// Nobody has used the consumer for long: delete it.
    Inactive,
}

/// A message on its way to a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Who gets it.
    pub target: Target,
    /// The message.
    pub sequence: u64,
    /// The number of this delivery among all of the consumer.
    pub consumer_sequence: u64,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// How many messages are to be delivered after it for the first time.
    pub pending: u64,
    /// The id of the pinned client, which the message carries.
    pub pin: Option<PinId>,
}

/// A message that leaves its consumer for the dead-letter subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The message.
    pub sequence: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Why it leaves.
    pub cause: Cause,
    /// Whether this was asked for before a restart, so that it may be stored already.
    pub is_repeated: bool,
}

/// Why a message is delivered no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It was delivered as often as the definition allows.
    MaxDeliveries,
    /// Its receiver gave it up.
    Terminated,
    /// It is damaged.
    Damaged,
}

impl Cause {
    /// The text that a dead letter carries.
    pub fn text(self) -> &'static str {
        match self {
            Cause::MaxDeliveries => "max_deliveries",
            Cause::Terminated => "terminated",
            Cause::Damaged => "damaged",
        }
    }
}

/// Which delivery an advisory is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The delivery that its receiver speaks of.
    pub delivery: DeliveryId,
    /// How often the message was delivered.
    pub deliveries: u32,
}

/// A delivery that failed because its message cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// Who would have got it.
    pub target: Target,
    /// Which one.
    pub told: Told,
    /// Why.
    pub failure: Failure,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It is not what was written, and will not be later.
    Damage,
    /// The disk refuses, perhaps not for long.
    Refusal,
}

/// How a client lost hold of its priority group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnpinCause {
    /// It did not ask for too long.
    Timeout,
    /// Somebody with the right to do so took it away.
    Administrative,
}
