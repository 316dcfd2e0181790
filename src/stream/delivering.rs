//! Carrying out a consumer's effects: sending messages and statuses, storing dead letters, publishing advisories.

use std::fmt::Write as _;
use std::sync::Arc;

use super::api::direct;
use super::consumer::DeliveryId;
use super::consumer::effect::{Delivery, Effect, Failure, Target, Told, Unread};
use super::consumer::status::{Detail, Kind, Status};
use super::header_names;
use super::message::StoredMessage;
use super::reading::ReadError;
use super::reply_subjects::{DeliveryNumbers, acknowledgement_begin, flow_control};
use super::running::{Done, LastRead, Traits, Work};
use super::shared::Stream;
use super::state::Place;
use crate::clock::Now;
use crate::delivery::{Effects, Message, Receivers, Recipients};

/// Delivers the messages of one turn of a consumer.
struct Courier<'c> {
    stream: &'c Stream,
    consumer: &'c str,
    traits: Traits,
    reading: &'c mut LastRead,
    /// Deliveries that nobody misses, since those after them have their numbers.
    uncounted: u64,
    /// Whether the disk has refused a message that the consumer waits for, so that the turn ends there.
    is_held: bool,
    /// The subject on which a delivery is acknowledged, and how much of it is the same for all.
    reply: Vec<u8>,
    prefix: usize,
    /// Most deliveries of a turn go to the same subject.
    recipients: Option<Recipients>,
    done: Done,
}

impl Stream {
    /// Carries out the effects of a consumer, in their order.
    pub(super) fn do_work(self: &Arc<Stream>, work: &mut Work, now: Now, effects: &mut Effects) -> Done {
        let steps = std::mem::take(&mut work.steps);
        // The end of the messages that are read from the journal.
        let end = steps.iter().rev().find_map(|(_, place)| place.end_in_journal());
        let name = Arc::clone(&work.name);
        let mut reading = std::mem::take(&mut work.reading);
        let mut courier = Courier::new(self, &name, work.traits, &mut reading);
        let mut others = Vec::new();
        for (effect, place) in steps {
            match effect {
                Effect::Deliver(delivery) => {
                    let expected = place.bytes_until(end);
                    courier.deliver(&delivery, &place, expected, effects);
                }
                // It would follow a message that its receiver has not got.
                Effect::Status { target, status }
                    if status.kind == Kind::BatchCompleted && courier.has_failed(&target) => {}
                Effect::Status { target, status } => self.send_status(&name, &target, &status, effects),
                Effect::Done { .. } | Effect::Keep(_) => {}
                Effect::DeadLetter(_) | Effect::Inactive => others.push(effect),
                // Whoever hears both learns of a pinned client before the client gets its message.
                told => self.advise(&name, &told, now, effects),
            }
        }
        let done = courier.finish();
        work.reading = reading;
        for effect in others {
            match effect {
                Effect::DeadLetter(letter) => self.send_dead_letter(work, &letter, now, effects),
                _ => self.delete_consumer(work.consumer, None, effects),
            }
        }
        done
    }
}

impl<'c> Courier<'c> {
    fn new(stream: &'c Stream, consumer: &'c str, traits: Traits, reading: &'c mut LastRead) -> Courier<'c> {
        let reply = acknowledgement_begin(&stream.name, consumer);
        let prefix = reply.len();
        let done = Done::default();
        Courier {
            stream,
            consumer,
            traits,
            reading,
            uncounted: 0,
            is_held: false,
            reply,
            prefix,
            recipients: None,
            done,
        }
    }

    fn finish(mut self) -> Done {
        note_behind(self.recipients.as_ref(), &mut self.done);
        self.done
    }

    fn deliver(&mut self, delivery: &Delivery, place: &Place, expected: usize, effects: &mut Effects) {
        if self.is_held {
            return self.done.held.push(unread(delivery, Failure::Refusal));
        }
        let uncounted = self.uncounted;
        let Courier { stream, traits, reading, reply, prefix, recipients, done, .. } = self;
        let recipients = match recipients {
            Some(known) if *known.target() == *delivery.target => &*known,
            other => {
                note_behind(other.as_ref(), done);
                other.insert(stream.hub.fan_out.recipients(&delivery.target))
            }
        };
        reply.truncate(*prefix);
        let sent = stream.read(delivery.sequence, place, expected, reading, |message| {
            numbers_of(delivery, uncounted, message.time).write(reply);
            done.messages += 1;
            done.bytes += message.subject.len() + message.headers.len() + message.payload.len();
            send(stream, message, delivery, reply, traits.headers_only, recipients, effects)
        });
        match sent {
            Ok(Receivers { count: 0, .. }) => done.undelivered.push(delivery.sequence),
            Ok(_) => {}
            // It was removed meanwhile.
            Err(ReadError::Gone) => {}
            Err(error) => self.fail(delivery, &error),
        }
    }

    /// A message cannot be read, so whoever was to get it gets another one.
    fn fail(&mut self, delivery: &Delivery, error: &ReadError) {
        let failure = if error.is_damage() { Failure::Damage } else { Failure::Refusal };
        let (stream, consumer, sequence) = (&*self.stream.name, self.consumer, delivery.sequence);
        if failure == Failure::Refusal && self.traits.waits_for_disk {
            tracing::warn!(stream, consumer, sequence, %error, "a message cannot be read now, and its consumer waits");
            self.is_held = true;
            self.done.held.push(unread(delivery, failure));
            return;
        }
        tracing::error!(stream, consumer, sequence, %error, "a message cannot be delivered");
        self.stream.hub.totals.note_unreadable();
        self.done.unreadable.push(unread(delivery, failure));
        self.uncounted += u64::from(self.traits.skips_unreadable);
    }

    /// Whether a receiver has not got a message of this turn.
    fn has_failed(&self, target: &Target) -> bool {
        let mut failed = self.done.unreadable.iter().chain(&self.done.held);
        failed.any(|unread| unread.target == *target)
    }
}

fn unread(delivery: &Delivery, failure: Failure) -> Unread {
    let Delivery { sequence, consumer_sequence, deliveries, .. } = *delivery;
    let told = Told { delivery: DeliveryId { sequence, consumer_sequence }, deliveries };
    Unread { target: Arc::clone(&delivery.target), told, failure }
}

/// What the subject of a delivery says of it.
fn numbers_of(delivery: &Delivery, uncounted: u64, time: i64) -> DeliveryNumbers {
    let Delivery { sequence, consumer_sequence, deliveries, pending, .. } = *delivery;
    let consumer_sequence = consumer_sequence.saturating_sub(uncounted);
    DeliveryNumbers { deliveries, sequence, consumer_sequence, time, pending }
}

/// Notes one of the receivers for which too much waits.
fn note_behind(recipients: Option<&Recipients>, done: &mut Done) {
    if done.behind.is_none() {
        done.behind = recipients.and_then(Recipients::one_behind).cloned();
    }
}

/// Sends a message to its receivers.
fn send(
    stream: &Stream,
    message: &StoredMessage<'_>,
    delivery: &Delivery,
    reply: &[u8],
    headers_only: bool,
    recipients: &Recipients,
    effects: &mut Effects,
) -> Receivers {
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
    stream.hub.fan_out.send_to_recipients(recipients, &message, effects)
}

impl Stream {
    /// Sends a status to a receiver.
    pub(super) fn send_status(
        &self,
        consumer: &str,
        target: &Target,
        status: &Status,
        effects: &mut Effects,
    ) {
        let mut headers = format!("NATS/1.0 {} {}", status.code(), status.description());
        if status.kind == Kind::StreamUnreadable {
            let _ = write!(headers, " of {}", self.name);
        }
        headers.push_str("\r\n");
        for (name, value) in status.headers() {
            let _ = write!(headers, "{name}: {value}\r\n");
        }
        let mut reply = String::new();
        match status.detail {
            Detail::Delivered { stalled: Some(token), .. } if status.kind == Kind::IdleHeartbeat => {
                let subject = flow_control(&self.name, consumer, token);
                let _ = write!(headers, "{}: {subject}\r\n", header_names::CONSUMER_STALLED);
            }
            Detail::Flow(token) => reply = flow_control(&self.name, consumer, token),
            _ => {}
        }
        headers.push_str("\r\n");
        let message =
            Message { reply: reply.as_bytes(), headers: headers.as_bytes(), ..Message::new(target, b"") };
        self.hub.fan_out.send_to(target, &message, effects);
    }
}
