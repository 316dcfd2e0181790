//! Advisories: messages about streams and consumers that are created, changed and deleted, and about what becomes of messages.  The subjects and the
//! texts are those of nats-server, which however publishes none when a consumer gets another definition.

use serde::Serialize;

use crate::clock::Now;
use crate::delivery::{ACCOUNT, Effects, Message};
use crate::random::{Random, machine_seed};
use crate::stream::consumer::effect::{Effect, UnpinCause};
use crate::stream::consumers::Defined;
use crate::stream::definition::ConsumerDefinition;
use crate::stream::json::Time;
use crate::stream::shared::{State, Stream, nanoseconds};
use crate::stream::unapplied::Then;

/// The beginning of most advisories' subjects.
const ADVISORY: &str = "$JS.EVENT.ADVISORY.";

/// Letters of an id.
const ID_LENGTH: usize = 22;

/// What an advisory is.
#[derive(Clone, Copy)]
struct Kind {
    /// The subject, before the names.
    subject: &'static str,
    r#type: &'static str,
}

/// A kind of advisory, by its subject and its type.
const fn kind(subject: &'static str, r#type: &'static str) -> Kind {
    Kind { subject, r#type }
}

const MAX_DELIVERIES: Kind = kind("CONSUMER.MAX_DELIVERIES", "max_deliver");
const NAKED: Kind = kind("CONSUMER.MSG_NAKED", "nak");
const TERMINATED: Kind = kind("CONSUMER.MSG_TERMINATED", "terminated");
const PINNED: Kind = kind("CONSUMER.PINNED", "consumer_group_pinned");
const UNPINNED: Kind = kind("CONSUMER.UNPINNED", "consumer_group_unpinned");
const PAUSED: Kind = kind("CONSUMER.PAUSE", "consumer_pause");

/// What happened to a stream or consumer, with the word for it.
#[derive(Clone, Copy)]
pub(super) enum Action {
    Created,
    Updated,
    Deleted,
}

impl Action {
    fn of_stream(self) -> (Kind, &'static str) {
        match self {
            Action::Created => (kind("STREAM.CREATED", "stream_action"), "create"),
            Action::Updated => (kind("STREAM.UPDATED", "stream_action"), "modify"),
            Action::Deleted => (kind("STREAM.DELETED", "stream_action"), "delete"),
        }
    }

    fn of_consumer(self) -> (Kind, &'static str) {
        match self {
            Action::Created => (kind("CONSUMER.CREATED", "consumer_action"), "create"),
            Action::Updated => (kind("CONSUMER.UPDATED", "consumer_action"), "modify"),
            Action::Deleted => (kind("CONSUMER.DELETED", "consumer_action"), "delete"),
        }
    }
}

/// An advisory that is to be published: its subject and its text.
pub(super) struct Event {
    subject: String,
    text: Vec<u8>,
}

/// The fields of an advisory.  Those that do not concern it are left out.
#[derive(Default, Serialize)]
struct Body<'b> {
    #[serde(skip)]
    account: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_until: Option<Time>,
}

/// An advisory as it is written.
#[derive(Serialize)]
struct Advisory<'a> {
    r#type: String,
    id: String,
    timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    #[serde(flatten)]
    body: Body<'a>,
}

impl Stream {
    /// Publishes what happened to a consumer's messages.
    pub(in crate::stream) fn advise(&self, consumer: &str, effect: &Effect, now: Now, effects: &mut Effects) {
        let (kind, body) = match effect {
            Effect::MaxDeliveries { sequence, deliveries } => {
                let body =
                    Body { stream_seq: Some(*sequence), deliveries: Some(*deliveries), ..Body::default() };
                (MAX_DELIVERIES, body)
            }
            Effect::Rejected(told) => (NAKED, Body::about(*told)),
            Effect::Terminated { told, reason } => {
                let reason = String::from_utf8_lossy(reason).into_owned();
                (
                    TERMINATED,
                    Body { reason: Some(reason).filter(|reason| !reason.is_empty()), ..Body::about(*told) },
                )
            }
            Effect::Acknowledged { told, after } => {
                let ack_time = i64::try_from(after.as_nanos()).ok();
                return self.send_metric(consumer, Body { ack_time, ..Body::about(*told) }, now, effects);
            }
            Effect::Pinned { id } => {
                (PINNED, Body { account: Some(ACCOUNT), pinned_id: Some(id.to_string()), ..Body::default() })
            }
            Effect::Unpinned { cause } => {
                let reason = match cause {
                    UnpinCause::Timeout => "timeout",
                    UnpinCause::Administrative => "admin",
                };
                (
                    UNPINNED,
                    Body { account: Some(ACCOUNT), reason: Some(reason.to_owned()), ..Body::default() },
                )
            }
            _ => return,
        };
        let subject = format!("{ADVISORY}{}.{}.{consumer}", kind.subject, self.name);
        if !self.hub.fan_out.channels.has_interest(subject.as_bytes()) {
            return;
        }
        let group = if body.account.is_some() { self.group_of(consumer) } else { None };
        let body = Body { group: group.as_deref(), ..body };
        let text = self.written("advisory", kind.r#type, Some(consumer), body, now);
        Event { subject, text }.publish(self, effects);
    }

    /// Publishes how long an acknowledgement took.
    fn send_metric(&self, consumer: &str, body: Body<'_>, now: Now, effects: &mut Effects) {
        let subject = format!("$JS.EVENT.METRIC.CONSUMER.ACK.{}.{consumer}", self.name);
        if self.hub.fan_out.channels.has_interest(subject.as_bytes()) {
            let text = self.written("metric", "consumer_ack", Some(consumer), body, now);
            Event { subject, text }.publish(self, effects);
        }
    }

    /// The group that the clients of a consumer pull in.
    fn group_of(&self, consumer: &str) -> Option<String> {
        let state = self.state.lock();
        state.consumers.named(consumer).and_then(|slot| slot.definition.priority_groups.first().cloned())
    }

    /// Publishes what happened to the stream, once the lock is given up.
    pub(super) fn note_stream(&self, state: &mut State, action: Action) {
        let (kind, action) = action.of_stream();
        self.note_event(state, kind, None, || Body { action: Some(action), ..Body::default() });
    }

    /// Publishes that a consumer was created or deleted, once the lock is given up.
    pub(super) fn note_consumer(&self, state: &mut State, consumer: &str, action: Action) {
        let (kind, action) = action.of_consumer();
        self.note_event(state, kind, Some(consumer), || Body { action: Some(action), ..Body::default() });
    }

    /// Publishes that a consumer has another definition, once the lock is given up.
    pub(super) fn note_redefined(&self, state: &mut State, former: &ConsumerDefinition, defined: &Defined) {
        let until = defined.definition.pause_until;
        if former.pause_until == until {
            return self.note_consumer(state, &defined.name, Action::Updated);
        }
        let now = Time::from_nanoseconds(nanoseconds(self.hub.clock.now()));
        let is_paused = until.is_some_and(|until| until.nanoseconds() > now.nanoseconds());
        self.note_event(state, PAUSED, Some(&defined.name), || Body {
            paused: Some(is_paused),
            pause_until: Some(until.unwrap_or(Time::ZERO)),
            ..Body::default()
        });
    }

    fn note_event<'b>(
        &self,
        state: &mut State,
        kind: Kind,
        consumer: Option<&'b str>,
        body: impl FnOnce() -> Body<'b>,
    ) {
        let mut subject = format!("{ADVISORY}{}.{}", kind.subject, self.name);
        if let Some(consumer) = consumer {
            subject.push('.');
            subject.push_str(consumer);
        }
        if self.hub.fan_out.channels.has_interest(subject.as_bytes()) {
            let text = self.written("advisory", kind.r#type, consumer, body(), self.hub.clock.now());
            state.upkeep.events.push(Event { subject, text });
        }
    }

    fn written(
        &self,
        class: &str,
        r#type: &str,
        consumer: Option<&str>,
        body: Body<'_>,
        now: Now,
    ) -> Vec<u8> {
        let advisory = Advisory {
            r#type: format!("io.nats.jetstream.{class}.v1.{type}"),
            id: advisory_id(),
            timestamp: Time::from_nanoseconds(nanoseconds(now)),
            account: body.account,
            stream: &self.name,
            consumer,
            body,
        };
        // Values in memory are always written.
        serde_json::to_vec(&advisory).unwrap_or_default()
    }
}

impl Stream {
    /// Publishes the advisories that wait.
    pub(in crate::stream) fn tell_events(&self, effects: &mut Effects) {
        let events = std::mem::take(&mut self.state.lock().upkeep.events);
        events.iter().for_each(|event| event.publish(self, effects));
    }
}

impl State {
    /// Asks for the waiting advisories to be published once the lock is given up.
    pub(in crate::stream) fn take_events(&mut self, then: &mut Vec<Then>) {
        if !self.upkeep.events.is_empty() {
            let events = std::mem::take(&mut self.upkeep.events);
            then.push(Then::Call(Box::new(move |stream, _, effects| {
                events.iter().for_each(|event| event.publish(stream, effects));
            })));
        }
    }
}

impl Event {
    fn publish(&self, stream: &Stream, effects: &mut Effects) {
        stream.hub.fan_out.publish(&Message::new(self.subject.as_bytes(), &self.text), effects);
    }
}

impl Body<'_> {
    /// The fields that name a delivery.
    fn about(told: crate::stream::consumer::effect::Told) -> Body<'static> {
        Body {
            consumer_seq: Some(told.delivery.consumer_sequence),
            stream_seq: Some(told.delivery.sequence),
            deliveries: Some(told.deliveries),
            ..Body::default()
        }
    }
}

/// An id that no other advisory has.
pub(in crate::stream) fn advisory_id() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = Random::with_seed(machine_seed());
    (0..ID_LENGTH).map(|_| char::from(LETTERS[random.below(LETTERS.len())])).collect()
}
