//! Streams that a keeper keeps, without a server around them: one client, a clock that only the test moves, and a disk that
//! loses power.

use std::sync::Arc;
use std::time::Duration;

use quartet::alarm::Alarm;
use quartet::clock::{Clock, Now};
use quartet::delivery::{
    Effects, Encoding, FanOut, Message, Outbox, Subscription, SubscriptionOptions, Topic,
};
use quartet::journal::Writer;
use quartet::journal::keeper::{JournalHandle, Keeper};
use quartet::random::Random;
use quartet::stream::{Streams, Surroundings};
use quartet_protocol::buffer::Buffer;
use serde_json::Value;

use super::delivered::Delivered;
use super::simulated_disk::{SimulatedDisk, Survival};

/// When the clock starts.
const START: Duration = Duration::from_secs(1_800_000_000);

/// How often the parts of a change that follow one another are carried on: more than any test needs.
const STEPS: usize = 6;

/// Streams with all that keeps them.
pub(crate) struct KeptStreams {
    pub(crate) streams: Arc<Streams>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) alarm: Arc<Alarm>,
    keeper: Keeper,
    writer: Writer,
    fan_out: Arc<FanOut>,
    outbox: Arc<Outbox>,
    effects: Effects,
    disks: Disks,
    asked: usize,
}

/// The journal's disk, and that of the streams' own files.
#[derive(Clone, Default)]
struct Disks {
    journal: SimulatedDisk,
    files: SimulatedDisk,
}

/// A message that the client got: its subject, its reply subject, and headers and payload together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Got {
    pub(crate) subject: String,
    pub(crate) reply: String,
    pub(crate) contents: String,
}

impl KeptStreams {
    /// No streams yet.
    pub(crate) fn new() -> KeptStreams {
        let clock = Arc::new(Clock::manual(Now::at(Duration::from_secs(1000), START)));
        KeptStreams::open(Disks::default(), clock)
    }

    fn open(disks: Disks, clock: Arc<Clock>) -> KeptStreams {
        let (alarm, journal) = (Arc::<Alarm>::default(), Arc::<JournalHandle>::default());
        let fan_out = Arc::new(FanOut::with_alarm(&alarm));
        let surroundings = Surroundings {
            fan_out: Arc::clone(&fan_out),
            journal: Arc::clone(&journal),
            clock: Arc::clone(&clock),
        };
        let streams = Arc::new(Streams::on_disk(surroundings, Arc::new(disks.files.clone())));
        streams.listen();
        let services = vec![streams.persistent()];
        let disk = Arc::new(disks.journal.clone());
        let opened = Keeper::open_on(&journal, disk, Vec::new(), services, clock.now());
        let (keeper, writer) = opened.expect("the journal opens");
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        outbox.set_encoding(Encoding::Frames);
        let effects = Effects::default();
        let kept =
            KeptStreams { streams, clock, alarm, keeper, writer, fan_out, outbox, effects, disks, asked: 0 };
        kept.subscribe("_INBOX.>");
        kept
    }

    /// The power is lost, with or without what was not synced, and a server starts on what is left.
    pub(crate) fn after_power_loss(self, survival: Survival) -> KeptStreams {
        self.after_power_loss_with(survival, |_| ())
    }

    /// The same, with something done to the disk of the streams' own files before the server starts.
    pub(crate) fn after_power_loss_with(
        self,
        survival: Survival,
        prepare: impl FnOnce(&SimulatedDisk),
    ) -> KeptStreams {
        let mut random = Random::with_seed(1);
        let journal = self.disks.journal.after_power_loss(survival, &mut random);
        let files = self.disks.files.after_power_loss(survival, &mut random);
        let clock = Arc::clone(&self.clock);
        drop(self);
        prepare(&files);
        let mut kept = KeptStreams::open(Disks { journal, files }, clock);
        kept.advance();
        kept
    }

    /// A server that starts on copies of the disks, with something done to that of the streams' own files before.
    pub(crate) fn copy_with(&self, prepare: impl FnOnce(&SimulatedDisk)) -> KeptStreams {
        let mut random = Random::with_seed(1);
        let journal = self.disks.journal.after_power_loss(Survival::Everything, &mut random);
        let files = self.disks.files.after_power_loss(Survival::Everything, &mut random);
        prepare(&files);
        let mut kept = KeptStreams::open(Disks { journal, files }, Arc::clone(&self.clock));
        kept.advance();
        kept
    }

    /// Has the messages moved to the streams' own files.
    pub(crate) fn snapshot(&mut self) {
        self.keeper.snapshot();
        // Its thread waits for this writer, and settles streams: nothing of it may come later.
        while self.keeper.is_writing_snapshot() {
            self.carry_on();
            std::thread::yield_now();
        }
        self.carry_on();
    }

    pub(crate) fn subscribe(&self, subject: &str) {
        let options = SubscriptionOptions { id: (*b"1").into(), ..SubscriptionOptions::default() };
        let subscription = Subscription::new(Topic::of_pattern(subject.as_bytes()), options, &self.outbox);
        self.fan_out.channels.subscribe(subscription);
    }

    /// The end of the journal that writes, and what delivers: for threads of a test's own.
    pub(crate) fn into_parts(self) -> (Arc<Streams>, Writer, Arc<FanOut>, Keeper) {
        (self.streams, self.writer, self.fan_out, self.keeper)
    }

    /// Publishes, without having anything written.
    pub(crate) fn publish(&mut self, subject: &str, reply: &str, headers: &str, payload: &str) {
        let message = Message {
            reply: reply.as_bytes(),
            headers: headers.as_bytes(),
            ..Message::new(subject.as_bytes(), payload.as_bytes())
        };
        self.fan_out.publish(&message, &mut self.effects);
        self.effects.deliver(&self.alarm);
    }

    /// The disk of the streams' own files.
    pub(crate) fn files(&self) -> &SimulatedDisk {
        &self.disks.files
    }

    /// The disk of the journal.
    pub(crate) fn journal(&self) -> &SimulatedDisk {
        &self.disks.journal
    }

    /// The operations of both disks that changed something.
    pub(crate) fn operations(&self) -> u64 {
        self.disks.journal.operations() + self.disks.files.operations()
    }

    /// Has everything written, without anything that follows from it.
    pub(crate) fn write(&mut self) {
        self.writer.step();
    }

    /// Does what is due, without having anything written.
    pub(crate) fn advance_unwritten(&mut self) {
        self.streams.advance(self.clock.now(), &mut self.effects);
        self.effects.deliver(&self.alarm);
    }

    /// Lets time pass.  Does what is due only if the alarm rings, as a server does, and returns whether it has.
    pub(crate) fn ring_after(&mut self, millis: u64) -> bool {
        self.clock.advance(Duration::from_millis(millis));
        let rings = self.alarm.ring(self.clock.now().millis());
        if rings {
            self.advance_unwritten();
        }
        rings
    }

    /// Does what is due, and all that follows from it.
    pub(crate) fn advance(&mut self) -> Vec<Got> {
        for _ in 0..STEPS {
            self.advance_unwritten();
            self.carry_on();
        }
        self.got()
    }

    pub(crate) fn after(&mut self, millis: u64) -> Vec<Got> {
        self.clock.advance(Duration::from_millis(millis));
        self.advance()
    }

    /// Has everything written, and all that follows from it.
    pub(crate) fn carry_on(&mut self) {
        for _ in 0..STEPS {
            self.writer.step();
            self.streams.settle(&mut self.effects);
            self.effects.deliver(&self.alarm);
        }
    }

    /// What the client has got.
    pub(crate) fn got(&mut self) -> Vec<Got> {
        let mut buffer = Buffer::new();
        self.outbox.drain_into(&mut buffer);
        Delivered::all(&buffer.into_bytes()).into_iter().map(Got::from).collect()
    }

    /// What comes of a message with a reply subject.
    pub(crate) fn ask_on(&mut self, subject: &str, headers: &[(&str, &str)], payload: &str) -> Vec<Got> {
        self.asked += 1;
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let block = if headers.is_empty() { String::new() } else { format!("NATS/1.0\r\n{lines}\r\n") };
        let reply = format!("_INBOX.{}", self.asked);
        self.publish(subject, &reply, &block, payload);
        self.carry_on();
        self.got()
    }

    /// The one answer to a request, which is JSON.
    pub(crate) fn json(&mut self, subject: &str, body: &str) -> Value {
        let got = self.ask_on(&format!("$JS.API.{subject}"), &[], body);
        let [answer] = &got[..] else { panic!("{subject} {body}: {got:?}") };
        serde_json::from_str(&answer.contents)
            .unwrap_or_else(|error| panic!("{subject}: {error}: {answer:?}"))
    }

    /// Creates a stream.
    pub(crate) fn create(&mut self, name: &str, members: &str) {
        let created =
            self.json(&format!("STREAM.CREATE.{name}"), &format!(r#"{{"name":"{name}",{members}}}"#));
        assert!(created["error"].is_null(), "{created}");
    }

    /// Stores a message and waits for the disk.
    pub(crate) fn put(&mut self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let got = self.ask_on(subject, headers, payload);
        assert!(got.iter().any(|got| got.contents.contains("\"seq\":")), "{got:?}");
    }

    /// The sequences, subjects and payloads of a stream.
    pub(crate) fn stored(&mut self, stream: &str) -> Vec<(u64, String, String)> {
        let state = self.json(&format!("STREAM.INFO.{stream}"), "")["state"].clone();
        let number = |name: &str| state[name].as_u64().expect("a number");
        let mut found = Vec::new();
        for sequence in number("first_seq").max(1)..=number("last_seq") {
            let got = self.json(&format!("STREAM.MSG.GET.{stream}"), &format!("{{\"seq\":{sequence}}}"));
            if let Some(subject) = got["message"]["subject"].as_str() {
                let payload = got["message"]["data"].as_str().unwrap_or_default();
                found.push((sequence, subject.to_owned(), payload.to_owned()));
            }
        }
        assert_eq!(found.len() as u64, number("messages"), "{state}");
        found
    }

    /// The sequences of a stream.
    pub(crate) fn sequences(&mut self, stream: &str) -> Vec<u64> {
        self.stored(stream).into_iter().map(|(sequence, ..)| sequence).collect()
    }
}

impl From<Delivered> for Got {
    fn from(delivered: Delivered) -> Got {
        let contents = [delivered.headers, delivered.payload].concat();
        Got {
            subject: delivered.subject,
            reply: delivered.reply,
            contents: String::from_utf8_lossy(&contents).into_owned(),
        }
    }
}
