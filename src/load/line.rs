//! A connection on which one thing is said at a time, and its answer awaited: for what comes before a run and after it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use quartet_protocol::resp::Output;

use crate::clock::Clock;

use super::answers::{Answers, RespAnswers};
use super::message::{Frame, next};
use super::target::Protocol;

/// Bytes that are read at once.
const READ_LENGTH: usize = 16 * 1024;

/// The longest answer before a run.
const ANSWER_LENGTH_MAX: usize = 64 * 1024 * 1024;

/// Where answers to requests arrive on a line to a broker.
const ANSWERS: &str = "quartet.bench.answer";

/// A connection that waits for each answer.
pub(super) struct Line {
    stream: TcpStream,
    protocol: Protocol,
    received: Vec<u8>,
    clock: Arc<Clock>,
    patience: Duration,
    is_subscribed: bool,
}

impl Line {
    /// A line over an open connection.
    pub(super) fn new(stream: TcpStream, protocol: Protocol, clock: Arc<Clock>, patience: Duration) -> Line {
        Line { stream, protocol, received: Vec::new(), clock, patience, is_subscribed: false }
    }

    /// The connection, on which nothing is under way.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the server does not take them.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent =
            self.stream.set_write_timeout(Some(self.patience)).and_then(|()| self.stream.write_all(bytes));
        sent.map_err(|error| format!("it takes nothing in: {error}"))
    }

    /// Sends a command over RESP and returns its reply, as bytes.
    ///
    /// # Errors
    /// What an error reply says.
    pub(super) fn command(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, String> {
        let mut request = Output::new();
        request.array(words.len());
        words.iter().for_each(|word| request.bulk(word.as_ref()));
        self.say(&request.into_buffer().into_bytes())?;
        self.until(|received| {
            let Some(answer) = RespAnswers::next(received)? else { return Ok(None) };
            let whole: Vec<u8> = received.drain(..answer.length).collect();
            if answer.is_error {
                return Err(String::from_utf8_lossy(&RespAnswers::text(&whole)).into_owned());
            }
            Ok(Some(whole))
        })
    }

    /// Waits for the first line of a broker.
    ///
    /// # Errors
    /// If it is no broker.
    pub(super) fn until_info(&mut self) -> Result<(), String> {
        self.until(|received| {
            let known = received.len().min(5);
            if received[..known] != b"INFO "[..known] {
                let shown = &received[..received.len().min(60)];
                return Err(format!(
                    "it does not begin with INFO, as a broker of NATS' protocol does, but with \"{}\"",
                    shown.escape_ascii()
                ));
            }
            let end = memmem::find(received, b"\r\n");
            Ok(end.map(|end| drop(received.drain(..end + 2))))
        })
    }

    /// Waits until a broker has taken everything in that was said.
    ///
    /// # Errors
    /// What it refuses.
    pub(super) fn until_pong(&mut self) -> Result<(), String> {
        self.say(b"PING\r\n")?;
        self.frame(|frame| matches!(frame, Frame::Pong).then_some(()))
    }

    /// Asks a broker's service, for example `$JS.API.INFO`, and returns its answer.
    ///
    /// # Errors
    /// If nobody answers.
    pub(super) fn request(&mut self, subject: &str, body: &str) -> Result<serde_json::Value, String> {
        if !self.is_subscribed {
            self.say(format!("SUB {ANSWERS} answer\r\n").as_bytes())?;
            self.is_subscribed = true;
        }
        self.say(format!("PUB {subject} {ANSWERS} {}\r\n{body}\r\n", body.len()).as_bytes())?;
        let payload = self.frame(|frame| match frame {
            Frame::Message(message) if message.subject == ANSWERS.as_bytes() => {
                Some(message.payload.to_vec())
            }
            _ => None,
        })?;
        if payload.is_empty() {
            return Err(format!("nobody answers at {subject}: has it durable streams?"));
        }
        serde_json::from_slice(&payload).map_err(|error| format!("{subject} answers no JSON: {error}"))
    }

    /// Waits for a frame of a broker, and answers its pings.
    fn frame<T>(&mut self, mut wanted: impl FnMut(&Frame<'_>) -> Option<T>) -> Result<T, String> {
        let mut pings = 0;
        let found = self.until(|received| {
            let mut at = 0;
            let mut found = None;
            while let (None, Some((length, frame))) = (&found, next(&received[at..])?) {
                pings += usize::from(matches!(frame, Frame::Ping));
                found = wanted(&frame);
                at += length;
            }
            received.drain(..at);
            Ok(found)
        })?;
        for _ in 0..pings {
            self.say(b"PONG\r\n")?;
        }
        Ok(found)
    }

    /// Reads until `find` has found something.
    fn until<T>(
        &mut self,
        mut find: impl FnMut(&mut Vec<u8>) -> Result<Option<T>, String>,
    ) -> Result<T, String> {
        let began = self.clock.now().micros();
        let mut buffer = [0; READ_LENGTH];
        loop {
            if let Some(found) = find(&mut self.received)? {
                return Ok(found);
            }
            let spent = Duration::from_micros(self.clock.now().micros().saturating_sub(began));
            let silent =
                || format!("it has not answered for {} seconds (--timeout)", self.patience.as_secs_f64());
            let left = self.patience.checked_sub(spent).filter(|left| !left.is_zero()).ok_or_else(silent)?;
            self.stream.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    return Err(format!(
                        "it closed a connection of {} before answering",
                        self.protocol.name()
                    ));
                }
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(silent());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("it broke a connection off: {error}")),
            }
            if self.received.len() > ANSWER_LENGTH_MAX {
                return Err("its answer has no end".to_owned());
            }
        }
    }
}
