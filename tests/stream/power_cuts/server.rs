//! A server that is nothing but its streams and its journal, whose writer the test moves, and one client.

use std::sync::Arc;

use quartet::alarm::Alarm;
use quartet::clock::Clock;
use quartet::delivery::{
    Effects, Encoding, FanOut, Message, Outbox, Subscription, SubscriptionOptions, Topic,
};
use quartet::journal::Writer;
use quartet::journal::keeper::{JournalHandle, Keeper, Persistent};
use quartet::stream::{Streams, Surroundings};
use quartet_protocol::buffer::Buffer;
use serde_json::Value;

use super::machine::{Machine, with_between};
use crate::support::broker::Delivered;

/// How often the writer is moved before an answer is given up.
const PATIENCE: usize = 5;

/// See the module's text.
pub(in crate::stream) struct Server {
    pub(in crate::stream) streams: Arc<Streams>,
    pub(in crate::stream) clock: Arc<Clock>,
    alarm: Arc<Alarm>,
    fan_out: Arc<FanOut>,
    journal: Arc<JournalHandle>,
    keeper: Keeper,
    writer: Writer,
    outbox: Arc<Outbox>,
    effects: Effects,
}

/// A snapshot that was begun, and what is left to do for it.
pub(in crate::stream) struct Snapshot {
    snapshot: quartet::journal::Snapshot,
    persistent: Box<dyn Persistent>,
}

impl Server {
    /// Starts on what the disk has.
    pub(in crate::stream) fn start(machine: &Machine, clock: &Arc<Clock>) -> Result<Server, String> {
        let alarm = Arc::<Alarm>::default();
        let fan_out = Arc::new(FanOut::with_alarm(&alarm));
        let journal = Arc::<JournalHandle>::default();
        let [of_journal, of_streams] = machine.folders();
        let surroundings = Surroundings {
            fan_out: Arc::clone(&fan_out),
            journal: Arc::clone(&journal),
            clock: Arc::clone(clock),
        };
        let streams = Arc::new(Streams::on_disk(surroundings, of_streams));
        streams.listen();
        let services = vec![streams.persistent()];
        let opened = Keeper::open_on(&journal, of_journal, Vec::new(), services, clock.now());
        let (keeper, writer) = opened.map_err(|error| error.to_string())?;
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        outbox.set_encoding(Encoding::Frames);
        let options = SubscriptionOptions { id: (*b"1").into(), ..SubscriptionOptions::default() };
        fan_out.channels.subscribe(Subscription::new(Topic::of_pattern(b"_INBOX.>"), options, &outbox));
        let (clock, effects) = (Arc::clone(clock), Effects::default());
        Ok(Server { streams, clock, alarm, fan_out, journal, keeper, writer, outbox, effects })
    }

    /// The client publishes, and the server does what follows at once.
    pub(in crate::stream) fn publish(&mut self, subject: &str, reply: &str, headers: &str, payload: &str) {
        let message = Message {
            reply: reply.as_bytes(),
            headers: headers.as_bytes(),
            ..Message::new(subject.as_bytes(), payload.as_bytes())
        };
        self.fan_out.publish(&message, &mut self.effects);
        self.effects.deliver(&self.alarm);
    }

    /// The writer writes what was appended.
    pub(in crate::stream) fn step(&mut self) {
        self.writer.step();
    }

    /// The server applies what the disk has.
    pub(in crate::stream) fn settle(&mut self) {
        self.streams.settle(&mut self.effects);
        self.effects.deliver(&self.alarm);
    }

    /// The server does what is due.
    pub(in crate::stream) fn advance(&mut self) {
        self.streams.advance(self.clock.now(), &mut self.effects);
        self.effects.deliver(&self.alarm);
    }

    /// The JSON that a request of the API is answered with, when the disk has what it has to have.
    pub(in crate::stream) fn ask(&mut self, request: &str, body: &str) -> Value {
        let told = self.send(&format!("$JS.API.{request}"), "", body);
        let told = told.unwrap_or_else(|| panic!("{request} {body} is not answered"));
        serde_json::from_slice(&told.payload).expect("it is JSON")
    }

    /// The first answer to a message, when the disk has what it has to have; none if there is none.
    pub(in crate::stream) fn send(
        &mut self,
        subject: &str,
        headers: &str,
        payload: &str,
    ) -> Option<Delivered> {
        self.received();
        self.publish(subject, "_INBOX.1", headers, payload);
        for _ in 0..PATIENCE {
            if let Some(told) = self.received().into_iter().next() {
                return Some(told);
            }
            self.step();
            self.settle();
        }
        None
    }

    /// What the client has been sent since this was asked last.
    pub(in crate::stream) fn received(&mut self) -> Vec<Delivered> {
        let mut buffer = Buffer::new();
        self.outbox.drain_into(&mut buffer);
        let mut bytes = buffer.into_bytes().to_vec();
        std::iter::from_fn(|| Delivered::take(&mut bytes)).collect()
    }

    /// Begins a snapshot, if there can be one.
    pub(in crate::stream) fn begin_snapshot(&mut self) -> Option<Snapshot> {
        let snapshot = self.journal.journal()?.begin_snapshot()?;
        self.step();
        self.settle();
        Some(Snapshot { snapshot, persistent: self.streams.persistent() })
    }

    /// Stops in order.
    pub(in crate::stream) fn stop(self) {
        let Server { keeper, writer, journal, .. } = self;
        let started = journal.journal().map(|journal| journal.start(writer));
        started.expect("there is a journal").expect("there are threads");
        keeper.close();
    }
}

impl Snapshot {
    /// Moves messages and writes the snapshot, while others go on between the operations of the disk; true once it counts.
    pub(in crate::stream) fn write(
        mut self,
        between: impl FnMut() + Clone + 'static,
        sync: impl FnOnce(),
    ) -> bool {
        let mut snapshot = self.snapshot;
        let rest = self.persistent.snapshot(&mut snapshot).ok().flatten();
        let moved = with_between(between.clone(), || rest.is_some_and(|rest| rest(&mut snapshot).is_ok()));
        sync();
        moved && with_between(between, || snapshot.finish()).is_ok()
    }
}
