//! The subjects on which receivers answer: acknowledgements of deliveries, and answers to the questions of flow control.
//!
//! Behind its prefix the subject of an acknowledgement has seven tokens: stream, consumer, how often the message was delivered, its
//! sequence, the number of the delivery, the time and how many were pending.  In the longer form a domain and the hash of an
//! account stand before them, and a token without meaning may follow.

use quartet_protocol::resp::number::{integer_text, unsigned_text};

use super::consumer::DeliveryId;
use super::consumer::status::FlowToken;

/// The beginning of the subjects of acknowledgements.
pub(super) const ACKNOWLEDGEMENT_PREFIX: &str = "$JS.ACK.";

/// Bytes of the subject of an acknowledgement besides its names and numbers: the prefix, and the full stops between them.
pub(super) const ACKNOWLEDGEMENT_FRAME: usize = ACKNOWLEDGEMENT_PREFIX.len() + 6;

/// The beginning of the subjects of answers to flow control.
const FLOW_CONTROL_PREFIX: &str = "$JS.FC.";

/// The delivery that the subject of an acknowledgement names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Acknowledged<'s> {
    pub(super) stream: &'s str,
    pub(super) consumer: &'s str,
    /// The texts of the numbers.
    numbers: [&'s str; 5],
}

/// A delivery, as the numbers in its subject say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryNumbers {
    /// How often the message had been delivered, this time included.
    pub deliveries: u32,
    /// The message.
    pub sequence: u64,
    /// Which delivery of the consumer it was.
    pub consumer_sequence: u64,
    /// When the message was stored, in nanoseconds since 1970.
    pub time: i64,
    /// How many messages were to be delivered after it for the first time.
    pub pending: u64,
}

impl<'s> Acknowledged<'s> {
    /// Reads the subject of an acknowledgement.
    pub(super) fn read(subject: &'s [u8]) -> Option<Acknowledged<'s>> {
        let subject = std::str::from_utf8(subject).ok()?.strip_prefix(ACKNOWLEDGEMENT_PREFIX)?;
        let (mut tokens, mut count) = ([""; 10], 0);
        for token in subject.split('.') {
            *tokens.get_mut(count)? = token;
            count += 1;
        }
        let tokens = match count {
            7 => &tokens[..],
            9 | 10 => &tokens[2..],
            _ => return None,
        };
        let numbers = [tokens[2], tokens[3], tokens[4], tokens[5], tokens[6]];
        Some(Acknowledged { stream: tokens[0], consumer: tokens[1], numbers })
    }

    /// The delivery.  Of its numbers only the sequence of the message matters.
    pub(super) fn delivery(&self) -> Option<DeliveryId> {
        let [_, sequence, number, ..] = self.numbers;
        let consumer_sequence = number.parse().unwrap_or_default();
        Some(DeliveryId { sequence: sequence.parse().ok()?, consumer_sequence })
    }
}

impl DeliveryNumbers {
    /// The numbers in the subject of a delivery of this consumer; none if it is no such subject.
    pub fn read(subject: &[u8], stream: &str, consumer: &str) -> Option<DeliveryNumbers> {
        let acknowledged = Acknowledged::read(subject)?;
        if (acknowledged.stream, acknowledged.consumer) != (stream, consumer) {
            return None;
        }
        let [deliveries, sequence, consumer_sequence, time, pending] = acknowledged.numbers;
        Some(DeliveryNumbers {
            deliveries: deliveries.parse().ok()?,
            sequence: sequence.parse().ok()?,
            consumer_sequence: consumer_sequence.parse().ok()?,
            time: time.parse().ok()?,
            pending: pending.parse().ok()?,
        })
    }

    /// The delivery.
    pub(super) fn id(&self) -> DeliveryId {
        let DeliveryNumbers { sequence, consumer_sequence, .. } = *self;
        DeliveryId { sequence, consumer_sequence }
    }

    /// Writes them behind what [`acknowledgement_begin`] has returned.
    pub(super) fn write(&self, subject: &mut Vec<u8>) {
        let DeliveryNumbers { deliveries, sequence, consumer_sequence, time, pending } = *self;
        for number in [u64::from(deliveries), sequence, consumer_sequence] {
            subject.extend_from_slice(&unsigned_text(number));
            subject.push(b'.');
        }
        subject.extend_from_slice(&integer_text(time));
        subject.push(b'.');
        subject.extend_from_slice(&unsigned_text(pending));
    }
}

/// The part of the subject that all acknowledgements of a consumer begin with.
pub(super) fn acknowledgement_begin(stream: &str, consumer: &str) -> Vec<u8> {
    format!("{ACKNOWLEDGEMENT_PREFIX}{stream}.{consumer}.").into_bytes()
}

/// The subject on which a question of flow control is answered.
pub(super) fn flow_control(stream: &str, consumer: &str, token: FlowToken) -> String {
    format!("{FLOW_CONTROL_PREFIX}{stream}.{consumer}.{}", String::from_utf8_lossy(&token.text()))
}

/// Reads the subject of an answer to flow control: stream, consumer, and the question.
pub(super) fn read_flow_control(subject: &[u8]) -> Option<(&str, &str, FlowToken)> {
    let subject = std::str::from_utf8(subject).ok()?.strip_prefix(FLOW_CONTROL_PREFIX)?;
    let (stream, rest) = subject.split_once('.')?;
    let (consumer, token) = rest.split_once('.')?;
    Some((stream, consumer, FlowToken::read(token.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_acknowledgements_have_two_forms() {
        let seventh = DeliveryId { sequence: 7, consumer_sequence: 3 };
        let short = ("S", "C", Some(seventh));
        for (subject, expected) in [
            ("$JS.ACK.S.C.1.7.3.1795880117230411844.12", Some(short)),
            ("$JS.ACK._.hash.S.C.1.7.3.1795880117230411844.12", Some(short)),
            ("$JS.ACK.domain.hash.S.C.1.7.3.1795880117230411844.12.random", Some(short)),
            ("$JS.ACK.S.C.1.x.3.1795880117230411844.12", Some(("S", "C", None))),
            ("$JS.ACK.S.C.1.7.3.1795880117230411844", None),
            ("$JS.ACK.hash.S.C.1.7.3.1795880117230411844.12", None),
            ("$JS.ACK.domain.hash.S.C.1.7.3.1795880117230411844.12.random.more", None),
            ("$JS.FC.S.C.0001", None),
        ] {
            let read = Acknowledged::read(subject.as_bytes());
            let read = read.map(|read| (read.stream, read.consumer, read.delivery()));
            assert_eq!(read, expected, "{subject}");
        }
    }

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        let numbers = DeliveryNumbers {
            deliveries: 2,
            sequence: 7,
            consumer_sequence: 9,
            time: 1_700_000_000_000_000_000,
            pending: 3,
        };
        let mut subject = acknowledgement_begin("ORDERS", "work");
        numbers.write(&mut subject);
        assert_eq!(subject, b"$JS.ACK.ORDERS.work.2.7.9.1700000000000000000.3");
        let digits = "ORDERSwork279".len() + "17000000000000000003".len();
        assert_eq!(subject.len(), ACKNOWLEDGEMENT_FRAME + digits);
        assert_eq!(DeliveryNumbers::read(&subject, "ORDERS", "work"), Some(numbers));
        for (stream, consumer) in [("ORDERS", "wor"), ("ORDER", "work"), ("ORDERS", "other")] {
            assert_eq!(DeliveryNumbers::read(&subject, stream, consumer), None);
        }
        for token in ["", "x", "$JS.ACK.ORDERS.work", "$JS.ACK.ORDERS.work.2.7.9.1.3.4"] {
            assert_eq!(DeliveryNumbers::read(token.as_bytes(), "ORDERS", "work"), None, "{token}");
        }
    }

    #[test]
    fn answers_name_their_question() {
        let subject = flow_control("S", "C", FlowToken(33));
        assert_eq!(subject, "$JS.FC.S.C.0011");
        assert_eq!(read_flow_control(subject.as_bytes()), Some(("S", "C", FlowToken(33))));
        for wrong in [&b"$JS.FC.S.C.001"[..], b"$JS.FC.S.C.00011", b"$JS.FC.S.C.0.11", b"$JS.FC.S.0011", b"x"]
        {
            assert_eq!(read_flow_control(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
    }
}
