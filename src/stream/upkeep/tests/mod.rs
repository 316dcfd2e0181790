//! What streams do by themselves, by a clock that only the tests move.

mod advisories;
mod age;
mod dead_letters;
mod republish;
mod retention;
mod schedules;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use crate::stream::Stream;
use crate::stream::requests::tests::{Got, Server};

impl Server {
    /// Lets time pass, does everything that is due by then, and returns the client's messages.
    fn after(&mut self, millis: u64) -> Vec<Got> {
        self.pass(Duration::from_millis(millis));
        self.advance()
    }

    /// Does everything that is due.
    fn advance(&mut self) -> Vec<Got> {
        let mut got = Vec::new();
        // Work that was done may make other work due at once.
        for _ in 0..3 {
            self.streams.advance(self.clock.now(), &mut self.effects);
            got.append(&mut self.got());
        }
        got
    }

    fn stream(&self, name: &str) -> Arc<Stream> {
        self.streams.find(name).expect("the stream is there")
    }

    /// The sequences that a stream has.
    fn sequences(&self, name: &str) -> Vec<u64> {
        let stream = self.stream(name);
        let state = stream.state.lock();
        let index = &state.data.index;
        (index.first()..=index.last()).filter(|sequence| index.is_stored(*sequence)).collect()
    }

    /// A message of a stream: its subject, headers and payload.
    fn message(&self, name: &str, sequence: u64) -> (String, String, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read = self.stream(name).read_one(sequence, |message| {
            (text(message.subject), text(message.headers), text(message.payload))
        });
        read.expect("the message is there")
    }

    /// The milliseconds until a stream has something to do.
    fn due_in(&self, name: &str) -> Option<u64> {
        let deadline = self.stream(name).state.lock().deadline?;
        Some(deadline.saturating_sub(self.clock.now().micros()).div_ceil(1000))
    }

    /// Stores one message with headers.
    fn put(&mut self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let block = if headers.is_empty() { String::new() } else { format!("NATS/1.0\r\n{lines}\r\n") };
        let got = self.ask_on(subject, &block, payload);
        let is_stored = |got: &Got| got.payload.contains("\"seq\":") && !got.payload.contains("error");
        assert!(got.iter().any(is_stored), "{got:?}");
    }

    /// Asks a consumer for messages without waiting, and returns them.
    fn pull(&mut self, stream: &str, consumer: &str, batch: usize) -> Vec<Got> {
        let body = format!("{{\"batch\":{batch},\"no_wait\":true}}");
        let got = self.ask(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}"), &body);
        got.into_iter().filter(|got| got.reply.starts_with("$JS.ACK.")).collect()
    }

    /// Says something about a delivery.
    fn say(&mut self, delivery: &Got, payload: &str) -> Vec<Got> {
        self.publish(&delivery.reply, "", "", payload);
        self.got()
    }

    /// Creates a consumer.
    fn consumer(&mut self, stream: &str, name: &str, members: &str) {
        let body = format!(
            r#"{{"stream_name":"{stream}","config":{{"name":"{name}","durable_name":"{name}","ack_policy":"explicit"{members}}}}}"#
        );
        let created = self.json(&format!("CONSUMER.CREATE.{stream}.{name}"), &body);
        assert!(created["error"].is_null(), "{created}");
    }
}

/// Those of the messages that came on a subject.
fn on<'g>(got: &'g [Got], subject: &str) -> Vec<&'g Got> {
    got.iter().filter(|got| got.subject == subject).collect()
}
