//! Leases: deliveries of a consumer that are settled by their tokens, many at a time.
//!
//! A token is the subject on which the delivery is acknowledged.  It says how often the message had been delivered, so what is
//! said with an older token than the latest is refused: another client has the message by then.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::Acknowledgement;
use super::delivering::ACKNOWLEDGEMENT_PREFIX;
use super::shared::Stream;
use crate::delivery::Effects;
use crate::wait::Lost;

/// A delivery, as its token says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// How often the message had been delivered, this time included.
    pub deliveries: u32,
    /// The message.
    pub sequence: u64,
    /// When the message was stored, in nanoseconds since 1970.
    pub time: i64,
    /// How many messages were to be delivered after it for the first time.
    pub pending: u64,
}

/// What is said about messages under leases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settlement {
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
pub type LeasesSettled = Box<dyn FnOnce(Result<Vec<usize>, Lost>, &mut Effects) + Send>;

impl Lease {
    /// The lease that a token of this consumer names; none if the text is no such token.
    pub fn read(token: &[u8], stream: &str, consumer: &str) -> Option<Lease> {
        let rest = std::str::from_utf8(token).ok()?.strip_prefix(ACKNOWLEDGEMENT_PREFIX)?;
        let rest = rest.strip_prefix(stream)?.strip_prefix('.')?.strip_prefix(consumer)?.strip_prefix('.')?;
        let tokens: Vec<&str> = rest.split('.').collect();
        let [deliveries, sequence, _, time, pending] = tokens[..] else { return None };
        Some(Lease {
            deliveries: deliveries.parse().ok()?,
            sequence: sequence.parse().ok()?,
            time: time.parse().ok()?,
            pending: pending.parse().ok()?,
        })
    }
}

impl Settlement {
    fn said(&self) -> Acknowledgement<'_> {
        match self {
            Settlement::Done => Acknowledgement::Positive,
            Settlement::Again(after) => Acknowledgement::Negative(*after),
            Settlement::Never(reason) => Acknowledgement::Terminate(reason),
            Settlement::Continued => Acknowledgement::InProgress,
        }
    }

    /// Whether this may be said again about a message that is settled already.
    fn is_final(&self) -> bool {
        matches!(self, Settlement::Done | Settlement::Never(_))
    }
}

impl Stream {
    /// Settles or prolongs leases.  False if there is no such consumer; then `settled` is not called.
    pub fn settle_leases(
        self: &Arc<Stream>,
        consumer: &str,
        leases: &[Lease],
        settlement: &Settlement,
        settled: LeasesSettled,
        effects: &mut Effects,
    ) -> bool {
        let told = self.tell_consumer(consumer, effects, |slot, turn| {
            let mut lost = Vec::new();
            for (place, lease) in leases.iter().enumerate() {
                match slot.consumer.deliveries(lease.sequence) {
                    Some(deliveries) if deliveries == lease.deliveries => {
                        slot.consumer.acknowledge(turn, lease.sequence, settlement.said());
                    }
                    // A retry whose first answer was lost.
                    None if settlement.is_final() && slot.consumer.has_delivered(lease.sequence) => {}
                    _ => lost.push(place),
                }
            }
            lost
        });
        let Some((lost, end)) = told else { return false };
        let then = Box::new(move |_: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
            settled(synced.map(|()| lost), effects);
        });
        self.once_synced(end, then, effects);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_consumer() {
        let token = b"$JS.ACK.ORDERS.work.2.7.9.1700000000000000000.3";
        let lease = Lease { deliveries: 2, sequence: 7, time: 1_700_000_000_000_000_000, pending: 3 };
        assert_eq!(Lease::read(token, "ORDERS", "work"), Some(lease));
        for (stream, consumer) in [("ORDERS", "wor"), ("ORDER", "work"), ("ORDERS", "other")] {
            assert_eq!(Lease::read(token, stream, consumer), None);
        }
        for token in ["", "x", "$JS.ACK.ORDERS.work", "$JS.ACK.ORDERS.work.2.7.9.1.3.4"] {
            assert_eq!(Lease::read(token.as_bytes(), "ORDERS", "work"), None, "{token}");
        }
    }
}
