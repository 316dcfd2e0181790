//! Leases: deliveries of a consumer that are answered by their tokens, many at a time.
//!
//! A token is the subject on which the delivery is acknowledged.  It says how often the message had been delivered, so what is
//! said with an older token than the latest is refused: another client has the message by then.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::Acknowledgement;
use super::reply_subjects::DeliveryNumbers;
use super::shared::Stream;
use crate::delivery::Effects;
use crate::wait::Lost;

/// What is said about messages under leases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseAnswer {
    /// They are acknowledged.
    Done,
    /// They are to be delivered again, after a time if there is one.
    Again(Option<Duration>),
    /// They must not be delivered again, for a reason that may be empty.
    Never(Box<[u8]>),
    /// They need more time.
    Continued,
}

/// Called once the disk has what was said, with the places of the leases that were lost.
pub type LeasesAnswered = Box<dyn FnOnce(Result<Vec<usize>, Lost>, &mut Effects) + Send>;

impl LeaseAnswer {
    fn said(&self) -> Acknowledgement<'_> {
        match self {
            LeaseAnswer::Done => Acknowledgement::Positive,
            LeaseAnswer::Again(after) => Acknowledgement::Negative(*after),
            LeaseAnswer::Never(reason) => Acknowledgement::Terminate(reason),
            LeaseAnswer::Continued => Acknowledgement::InProgress,
        }
    }

    /// Whether this may be said again about a message that is done already.
    fn is_final(&self) -> bool {
        matches!(self, LeaseAnswer::Done | LeaseAnswer::Never(_))
    }
}

impl Stream {
    /// Says the same about several leases.  False if there is no such consumer; then `answered` is not called.
    pub fn answer_leases(
        self: &Arc<Stream>,
        consumer: &str,
        leases: &[DeliveryNumbers],
        answer: &LeaseAnswer,
        answered: LeasesAnswered,
        effects: &mut Effects,
    ) -> bool {
        let told = self.tell_consumer(consumer, effects, |slot, turn| {
            let mut lost = Vec::new();
            for (place, lease) in leases.iter().enumerate() {
                match slot.consumer.deliveries(lease.sequence) {
                    Some(deliveries) if deliveries == lease.deliveries => {
                        slot.consumer.acknowledge(turn, lease.id(), answer.said());
                    }
                    // A retry whose first answer was lost.
                    None if answer.is_final() && slot.consumer.has_delivered(lease.sequence) => {}
                    _ => lost.push(place),
                }
            }
            lost
        });
        let Some((lost, end)) = told else { return false };
        let then = Box::new(move |_: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
            answered(synced.map(|()| lost), effects);
        });
        self.once_synced(end, then, effects);
        true
    }
}
