//! Requests as clients send them, against streams in memory and a clock that stands still.

mod acknowledgements;
mod consumers;
#[path = "../../../../tests/support/delivered.rs"]
mod delivered;
mod direct;
mod messages;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use quartet_protocol::buffer::Buffer;
use serde_json::Value;

use self::delivered::Delivered;
use crate::alarm::Alarm;
use crate::clock::{Clock, Now};
use crate::delivery::{Effects, Encoding, FanOut, Message, Outbox, Subscription, SubscriptionOptions, Topic};
use crate::stream::{Streams, Surroundings};

/// A message that the client got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::stream) struct Got {
    pub(in crate::stream) subject: String,
    pub(in crate::stream) reply: String,
    pub(in crate::stream) headers: String,
    pub(in crate::stream) payload: String,
}

impl Got {
    /// The first line of its headers.
    fn status(&self) -> &str {
        self.headers.lines().next().unwrap_or_default()
    }

    /// The value of a header.
    pub(in crate::stream) fn header(&self, name: &str) -> &str {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }
}

/// A server with one client, which subscribes to `_INBOX.>` and whatever a test wants.
pub(in crate::stream) struct Server {
    pub(in crate::stream) fan_out: Arc<FanOut>,
    pub(in crate::stream) clock: Arc<Clock>,
    pub(in crate::stream) streams: Arc<Streams>,
    outbox: Arc<Outbox>,
    pub(in crate::stream) effects: Effects,
    asked: usize,
}

impl Server {
    pub(in crate::stream) fn new() -> Server {
        let fan_out = Arc::<FanOut>::default();
        let start = Now::at(Duration::from_secs(1000), Duration::from_secs(1_800_000_000));
        let clock = Arc::new(Clock::manual(start));
        let surroundings = Surroundings {
            fan_out: Arc::clone(&fan_out),
            journal: Arc::default(),
            clock: Arc::clone(&clock),
        };
        let streams = Arc::new(Streams::new(surroundings, None));
        streams.listen();
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        outbox.set_encoding(Encoding::Frames);
        let mut server = Server { fan_out, clock, streams, outbox, effects: Effects::default(), asked: 0 };
        server.subscribe("_INBOX.>");
        server
    }

    /// One with a stream of this definition.
    pub(in crate::stream) fn with(definition: &str) -> Server {
        let mut server = Server::new();
        let name = serde_json::from_str::<Value>(definition).expect("it is JSON")["name"].clone();
        let created = server.json(&format!("STREAM.CREATE.{}", name.as_str().expect("a text")), definition);
        assert_eq!(created["did_create"], true, "{created}");
        server
    }

    pub(in crate::stream) fn subscribe(&mut self, subject: &str) -> Arc<Subscription> {
        let options = SubscriptionOptions { id: (*b"1").into(), ..SubscriptionOptions::default() };
        let subscription = Subscription::new(Topic::of_pattern(subject.as_bytes()), options, &self.outbox);
        self.fan_out.subscribe(Arc::clone(&subscription), &mut self.effects);
        subscription
    }

    pub(in crate::stream) fn unsubscribe(&mut self, subscription: &Arc<Subscription>) {
        self.fan_out.unsubscribe(subscription, &mut self.effects);
    }

    /// Publishes without ending the batch.
    pub(in crate::stream) fn publish(&mut self, subject: &str, reply: &str, headers: &str, payload: &str) {
        let message = Message {
            reply: reply.as_bytes(),
            headers: headers.as_bytes(),
            ..Message::new(subject.as_bytes(), payload.as_bytes())
        };
        self.fan_out.publish(&message, &mut self.effects);
    }

    /// Ends the batch, and returns all that the client got.
    pub(in crate::stream) fn got(&mut self) -> Vec<Got> {
        self.effects.deliver(&Alarm::default());
        let mut buffer = Buffer::new();
        self.outbox.drain_into(&mut buffer);
        Delivered::all(&buffer.into_bytes()).into_iter().map(Got::from).collect()
    }

    /// The answers to a message with a reply subject.
    pub(in crate::stream) fn ask_on(&mut self, subject: &str, headers: &str, payload: &str) -> Vec<Got> {
        self.asked += 1;
        let reply = format!("_INBOX.{}", self.asked);
        self.publish(subject, &reply, headers, payload);
        self.got()
    }

    /// The answers to a request.
    pub(in crate::stream) fn ask(&mut self, subject: &str, body: &str) -> Vec<Got> {
        self.ask_on(&format!("$JS.API.{subject}"), "", body)
    }

    /// The one answer to a request, which is JSON.
    pub(in crate::stream) fn json(&mut self, subject: &str, body: &str) -> Value {
        let got = self.ask(subject, body);
        let [answer] = &got[..] else { panic!("{subject} {body}: {got:?}") };
        serde_json::from_str(&answer.payload).unwrap_or_else(|error| panic!("{subject}: {error}: {answer:?}"))
    }

    /// Code, number and text of the error that a request is answered with.
    #[track_caller]
    fn refuses(&mut self, subject: &str, body: &str, expected: (u64, u64, &str)) {
        let answer = self.json(subject, body);
        let error = &answer["error"];
        let (code, number) = (error["code"].as_u64(), error["err_code"].as_u64());
        let text = error["description"].as_str().unwrap_or_default();
        let (expected_code, expected_number, expected_text) = expected;
        assert_eq!(
            (code, number, text),
            (Some(expected_code), Some(expected_number), expected_text),
            "{subject} {body}: {answer}"
        );
    }

    /// Stores messages on these subjects, whose payloads are numbered from one on.
    pub(in crate::stream) fn store(&mut self, subjects: &[&str]) {
        for (number, subject) in subjects.iter().enumerate() {
            let acknowledged = self.ask_on(subject, "", &format!("m{}", number + 1));
            assert!(acknowledged[0].payload.contains("\"seq\":"), "{acknowledged:?}");
        }
    }

    pub(in crate::stream) fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

impl From<Delivered> for Got {
    fn from(delivered: Delivered) -> Got {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Got {
            headers: text(&delivered.headers),
            payload: text(&delivered.payload),
            subject: delivered.subject,
            reply: delivered.reply,
        }
    }
}
