//! Replay: consumers that each read all messages of a stream.

use super::super::message::{Frame, Message, next};
use super::super::options::{CONNECTIONS_MAX, COUNT_MAX, Options, SIZE_MAX};
use super::super::pacing::Bound;
use super::super::plan::{Plan, Share};
use super::super::run::{Terms, drive};
use super::super::target::Target;
use super::super::traffic::{Stage, Traffic};
use super::asking::Asking;
use super::stream::{self, Keeping};

/// Messages in the stream if `--count` is not given.
const MESSAGES: u64 = 200_000;

/// Publishers that fill the stream, and messages on their way from each.
const FILL_CONNECTIONS: usize = 4;
const FILL_PIPELINE: usize = 256;

/// The most messages that are asked for at a time.
const BATCH_MAX: u64 = 10_000;

/// How long a request for messages stands, in nanoseconds.
const EXPIRES: u64 = 60_000_000_000;

/// Where a reader hears what came of its request for a consumer.
const ANSWER: &[u8] = b"quartet.bench.answer";

/// How readers get their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Push,
    Pull { batch: u64, acknowledges: bool },
}

struct Replay {
    way: Way,
    stream: String,
    /// Whether the stream is made and filled before, or was there.
    is_made: bool,
    /// Whether a stream that was made stays.
    is_kept: bool,
    consumers: usize,
    messages: u64,
    size: usize,
    run: u32,
}

/// Plans it.
pub(super) fn plan(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    if options.has("time") || options.has("rate") {
        return Err(
            "replay reads each message once, as quickly as it can: say --count, not --time or --rate"
                .to_owned(),
        );
    }
    let way = if options.has("push") {
        if options.has("acknowledge") || options.has("batch") {
            return Err("--push goes without --acknowledge and --batch".to_owned());
        }
        Way::Push
    } else {
        Way::Pull { batch: options.number("batch", 1..=BATCH_MAX)?, acknowledges: options.has("acknowledge") }
    };
    let is_made = !options.has("stream");
    if !is_made && (options.has("size") || options.has("keep")) {
        return Err(
            "--stream reads a stream that is there and stays as it is: it goes without --size and --keep"
                .to_owned(),
        );
    }
    let stream = if is_made { stream::NAME.to_owned() } else { stream(options)? };
    let wanted = if options.has("count") { Some(options.number("count", 1..=COUNT_MAX)?) } else { None };
    let messages = match wanted {
        wanted if is_made => wanted.unwrap_or(MESSAGES),
        wanted => held(target, &stream, wanted)?,
    };
    let consumers = options.count("consumers", 1..=CONNECTIONS_MAX)?;
    let size = options.count("size", 0..=SIZE_MAX)?;
    let (is_kept, run) = (options.has("keep"), std::process::id());
    Ok(Box::new(Replay { way, stream, is_made, is_kept, consumers, messages, size, run }))
}

/// The name of the stream to read.
fn stream(options: &Options) -> Result<String, String> {
    let text = options.text("stream");
    if text.is_empty() || text.contains(|letter: char| ".*>/\\".contains(letter) || letter <= ' ') {
        return Err(format!("--stream must be the name of a stream, not '{text}'"));
    }
    Ok(text.to_owned())
}

/// How many messages of a stream that is there are read: as many as are wanted, or all.
fn held(target: &Target, stream: &str, wanted: Option<u64>) -> Result<u64, String> {
    let held = stream::messages(target, stream)?;
    let count = wanted.unwrap_or(held);
    if count == 0 {
        return Err(target.fault(&format!("the stream {stream} holds no messages")));
    }
    if count > held {
        return Err(
            target.fault(&format!("the stream {stream} holds {held} messages, fewer than --count {count}"))
        );
    }
    Ok(count)
}

impl Replay {
    fn inbox(&self, number: usize) -> String {
        format!("_INBOX.quartet.bench.{}.{number}", self.run)
    }

    fn consumer(&self, number: usize) -> String {
        format!("quartet-bench-{}-{number}", self.run)
    }

    /// Creates the stream, and stores the messages that consumers are going to read.
    fn fill(&self, target: &Target) -> Result<(), String> {
        stream::create(target, Keeping::default())?;
        let filling = Asking::filling(FILL_CONNECTIONS, FILL_PIPELINE, self.size);
        let terms = Terms { bound: Bound::Count(self.messages), rate: None, threads: 1, seed: 0 };
        let filled = drive(target, &filling, terms, &mut |_| {})?;
        match filled.tally.first_error {
            Some(error) => {
                Err(target.fault(&format!("a message could not be stored before the run: {error}")))
            }
            None => Ok(()),
        }
    }

    /// What a reader says first.
    fn opening(&self, number: usize) -> Vec<u8> {
        let Way::Push = self.way else { return Vec::new() };
        let config = serde_json::json!({
            "deliver_subject": self.inbox(number), "deliver_policy": "all", "ack_policy": "none", "max_deliver": 1,
            "mem_storage": true, "num_replicas": 1, "flow_control": true, "idle_heartbeat": 5_000_000_000_u64,
            "replay_policy": "instant",
        });
        let request = serde_json::json!({ "stream_name": self.stream, "config": config }).to_string();
        let subject = format!("$JS.API.CONSUMER.CREATE.{}", self.stream);
        let answer = ANSWER.escape_ascii();
        format!("PUB {subject} {answer} {}\r\n{request}\r\n", request.len()).into_bytes()
    }
}

impl Plan for Replay {
    fn connections(&self) -> usize {
        self.consumers
    }

    fn prepare(&self, target: &Target) -> Result<(), String> {
        if self.is_made {
            self.fill(target)?;
        }
        if let Way::Pull { acknowledges, .. } = self.way {
            for number in 0..self.consumers {
                stream::create_consumer(target, &self.stream, &self.consumer(number), acknowledges)?;
            }
        }
        Ok(())
    }

    fn greeting(&self, connection: usize) -> Vec<u8> {
        let inbox = self.inbox(connection);
        let mut greeting = format!("SUB {inbox} 1\r\n").into_bytes();
        if self.way == Way::Push {
            greeting.extend_from_slice(b"SUB ");
            greeting.extend_from_slice(ANSWER);
            greeting.extend_from_slice(b" 2\r\n");
        }
        greeting
    }

    fn traffic(&self, share: Share) -> Box<dyn Traffic> {
        let reader = |index: usize| {
            let number = share.first + index;
            let consumer = self.consumer(number);
            Reader {
                opening: self.opening(number),
                ask: format!(
                    "PUB $JS.API.CONSUMER.MSG.NEXT.{}.{consumer} {} ",
                    self.stream,
                    self.inbox(number)
                ),
                got: 0,
                asked: 0,
            }
        };
        Box::new(Reading {
            way: self.way,
            readers: (0..share.count).map(reader).collect(),
            messages: self.messages,
            unfinished: share.count,
            is_begun: false,
        })
    }

    fn clean_up(&self, target: &Target) -> Result<(), String> {
        if self.is_made && !self.is_kept {
            return stream::delete(target);
        }
        // The server drops consumers that it pushes to as soon as nobody listens.
        if let Way::Pull { .. } = self.way {
            for number in 0..self.consumers {
                stream::delete_consumer(target, &self.stream, &self.consumer(number))?;
            }
        }
        Ok(())
    }
}

struct Reading {
    way: Way,
    readers: Vec<Reader>,
    /// How many each reads.
    messages: u64,
    unfinished: usize,
    is_begun: bool,
}

struct Reader {
    opening: Vec<u8>,
    /// The line that asks for messages, without the length behind it.
    ask: String,
    got: u64,
    /// How many messages are asked for and have not come.
    asked: u64,
}

impl Reading {
    /// Asks for further messages once half of those asked for have come, so that the next are on their way meanwhile.
    fn ask(&mut self, number: usize, stage: &mut Stage<'_>) {
        let Way::Pull { batch, .. } = self.way else { return };
        let reader = &mut self.readers[number];
        let left = self.messages.saturating_sub(reader.got + reader.asked);
        if reader.asked > batch / 2 || left == 0 {
            return;
        }
        let count = (batch - reader.asked).min(left);
        let body = format!("{{\"batch\":{count},\"expires\":{EXPIRES}}}");
        let output = stage.outputs[number].bytes();
        output.extend_from_slice(format!("{}{}\r\n{body}\r\n", reader.ask, body.len()).as_bytes());
        reader.asked += count;
    }

    fn see(&mut self, number: usize, message: &Message<'_>, stage: &mut Stage<'_>) -> Result<(), String> {
        if message.subject == ANSWER {
            let is_refused = memchr::memmem::find(message.payload, b"\"error\"").is_some();
            // Several readers hear every answer, which are all alike.
            return if is_refused {
                Err(String::from_utf8_lossy(message.payload).into_owned())
            } else {
                Ok(())
            };
        }
        let output = stage.outputs[number].bytes();
        let reader = &mut self.readers[number];
        if message.is_status() {
            match self.way {
                Way::Push => answer_flow_control(message, output),
                // The request has ended before all its messages came.
                Way::Pull { .. } => reader.asked = 0,
            }
            return Ok(());
        }
        if reader.got == self.messages {
            // What the server pushes on, while others have not read as many.
            return Ok(());
        }
        reader.got += 1;
        reader.asked = reader.asked.saturating_sub(1);
        if let Way::Pull { acknowledges: true, .. } = self.way {
            output.extend_from_slice(b"PUB ");
            output.extend_from_slice(message.reply);
            output.extend_from_slice(b" 4\r\n+ACK\r\n");
        }
        self.unfinished -= usize::from(reader.got == self.messages);
        stage.tally.ended(1);
        Ok(())
    }
}

impl Traffic for Reading {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        for number in 0..self.readers.len() {
            stage.outputs[number].bytes().extend_from_slice(&self.readers[number].opening);
            self.ask(number, stage);
        }
    }

    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String> {
        let mut at = 0;
        while let Some((length, frame)) = next(&input[at..])? {
            at += length;
            match frame {
                Frame::Message(message) => {
                    self.see(connection, &message, stage)?;
                    self.ask(connection, stage);
                }
                Frame::Ping => stage.outputs[connection].bytes().extend_from_slice(b"PONG\r\n"),
                Frame::Pong | Frame::Other => {}
            }
        }
        Ok(at)
    }

    fn is_settled(&self) -> bool {
        self.unfinished == 0
    }

    fn is_over(&self, _stage: &Stage<'_>) -> bool {
        self.unfinished == 0
    }

    fn missing(&self) -> String {
        let got: u64 = self.readers.iter().map(|reader| reader.got).sum();
        let all = self.messages * self.readers.len() as u64;
        format!("{} of {all} messages are missing", all.saturating_sub(got))
    }
}

/// Tells the server how far a reader has come, if it asks.
fn answer_flow_control(message: &Message<'_>, output: &mut Vec<u8>) {
    const STALLED: &[u8] = b"Nats-Consumer-Stalled: ";
    let stalled =
        memchr::memmem::find(message.headers, STALLED).map(|at| &message.headers[at + STALLED.len()..]);
    let stalled = stalled.and_then(|rest| rest.split(|byte| *byte == b'\r').next());
    let subject = if message.reply.is_empty() { stalled.unwrap_or_default() } else { message.reply };
    if !subject.is_empty() {
        output.extend_from_slice(b"PUB ");
        output.extend_from_slice(subject);
        output.extend_from_slice(b" 0\r\n\r\n");
    }
}
