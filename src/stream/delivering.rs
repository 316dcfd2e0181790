//! Doing what a consumer wants done: its messages and statuses go out, dead letters are stored, others are told.

use std::fmt::Write as _;
use std::sync::Arc;

use super::api::direct;
use super::consumer::effect::{Delivery, Effect, Target};
use super::consumer::status::{Detail, FlowToken, Kind, Status};
use super::message::StoredMessage;
use super::running::{Done, Work};
use super::shared::Stream;
use super::state::Place;
use crate::clock::Now;
use crate::delivery::{Effects, Message};

/// How the subjects begin on which receivers acknowledge.
pub(super) const ACKNOWLEDGEMENT_PREFIX: &str = "$JS.ACK.";

/// How the subjects begin on which receivers answer the questions of flow control.
pub(super) const FLOW_CONTROL_PREFIX: &str = "$JS.FC.";

impl Stream {
    /// Does what a consumer wants done, in its order.
    pub(super) fn do_work(self: &Arc<Stream>, work: &mut Work, now: Now, effects: &mut Effects) -> Done {
        let mut done = Done::default();
        let mut reply = String::new();
        let steps = std::mem::take(&mut work.steps);
        // How far the messages reach that are read from the journal.
        let end = steps.iter().rev().find_map(|(_, place)| match place {
            Some(Place::Journal(position, length)) => Some(position.0 + *length as u64),
            _ => None,
        });
        for (effect, place) in steps {
            match effect {
                Effect::Deliver(delivery) => {
                    let expected = match (&place, end) {
                        (Some(Place::Journal(position, _)), Some(end)) => end.saturating_sub(position.0),
                        _ => 0,
                    };
                    reply.clear();
                    self.deliver(work, &delivery, place, expected as usize, &mut reply, &mut done, effects);
                }
                Effect::Status { target, status } => self.send_status(&work.name, &target, &status, effects),
                Effect::DeadLetter(letter) => self.send_dead_letter(work, &letter, now, effects),
                Effect::Inactive => self.delete_consumer(work.consumer, None, effects),
                Effect::Done { .. } | Effect::Keep(_) => {}
                other => self.advise(&work.name, &other, now, effects),
            }
        }
        done
    }

    #[expect(clippy::too_many_arguments, reason = "buffers that are used again")]
    fn deliver(
        self: &Arc<Stream>,
        work: &mut Work,
        delivery: &Delivery,
        place: Option<Place>,
        expected: usize,
        reply: &mut String,
        done: &mut Done,
        effects: &mut Effects,
    ) {
        let Some(place) = place else { return };
        let (name, headers_only) = (Arc::clone(&work.name), work.headers_only);
        let sent = self.read(delivery.sequence, &place, expected, &mut work.reading, |message| {
            self.write_reply(&name, delivery, message.time, reply);
            self.send(message, delivery, reply.as_bytes(), headers_only, effects)
        });
        match sent {
            Ok((true, is_behind)) => {
                done.bytes += expected_bytes(&place);
                done.is_receiver_behind |= is_behind;
            }
            Ok((false, _)) => done.undelivered.push(delivery.sequence),
            Err(error) => tracing::error!(
                stream = &*self.name,
                sequence = delivery.sequence,
                %error,
                "a message cannot be delivered"
            ),
        }
    }

    /// Sends a message to its receiver.  Whether somebody got it, and whether too much waits there.
    fn send(
        &self,
        message: &StoredMessage<'_>,
        delivery: &Delivery,
        reply: &[u8],
        headers_only: bool,
        effects: &mut Effects,
    ) -> (bool, bool) {
        let own;
        let mut headers = message.headers;
        let mut payload = message.payload;
        if headers_only {
            own = direct::without_payload(message);
            (headers, payload) = (&own, &[]);
        } else if let Some(pin) = delivery.pin {
            own = direct::pinned(message, pin);
            headers = &own;
        }
        let message = Message { reply, headers, ..Message::new(message.subject, payload) };
        let receivers = self.hub.fan_out.send_to(&delivery.target, &message, effects);
        (receivers.count > 0, receivers.is_behind)
    }

    /// The subject on which a delivery is acknowledged.
    fn write_reply(&self, consumer: &str, delivery: &Delivery, time: i64, reply: &mut String) {
        let Delivery { sequence, consumer_sequence, deliveries, pending, .. } = *delivery;
        // Writing into a text cannot fail.
        let _ = write!(
            reply,
            "{ACKNOWLEDGEMENT_PREFIX}{}.{consumer}.{deliveries}.{sequence}.{consumer_sequence}.{time}.{pending}",
            self.name
        );
    }

    fn flow_subject(&self, consumer: &str, token: FlowToken) -> String {
        let token = token.text();
        format!("{FLOW_CONTROL_PREFIX}{}.{consumer}.{}", self.name, String::from_utf8_lossy(&token))
    }

    /// Sends a status to a receiver.
    pub(super) fn send_status(
        &self,
        consumer: &str,
        target: &Target,
        status: &Status,
        effects: &mut Effects,
    ) {
        let mut headers = format!("NATS/1.0 {} {}\r\n", status.code(), status.description());
        for (name, value) in status.headers() {
            let _ = write!(headers, "{name}: {value}\r\n");
        }
        let mut reply = String::new();
        match status.detail {
            Detail::Delivered { stalled: Some(token), .. } if status.kind == Kind::IdleHeartbeat => {
                let subject = self.flow_subject(consumer, token);
                let _ = write!(headers, "Nats-Consumer-Stalled: {subject}\r\n");
            }
            Detail::Flow(token) => reply = self.flow_subject(consumer, token),
            _ => {}
        }
        headers.push_str("\r\n");
        let message =
            Message { reply: reply.as_bytes(), headers: headers.as_bytes(), ..Message::new(target, b"") };
        self.hub.fan_out.send_to(target, &message, effects);
    }
}

/// About how many bytes a message takes on its way.
fn expected_bytes(place: &Place) -> usize {
    match place {
        Place::Journal(_, length) => *length,
        Place::Memory(_) | Place::File(_) => 512,
    }
}
