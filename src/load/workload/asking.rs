//! Requests over a broker: messages that a stream acknowledges, and requests that another client answers.

use memchr::memmem;

use super::super::message::{Frame, Message, next};
use super::super::options::{CONNECTIONS_MAX, Options, SIZE_MAX};
use super::super::plan::{Plan, Share};
use super::super::target::Target;
use super::super::traffic::{Stage, Traffic};
use super::stream;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answerer {
    /// The stream that stores the messages.
    Stream {
        /// Whether it is kept in memory.
        is_in_memory: bool,
    },
    /// A client on a connection of its own for each asking connection.
    Client,
}

/// Connections that ask.
pub(super) struct Asking {
    answerer: Answerer,
    connections: usize,
    pipeline: usize,
    size: usize,
    run: u32,
}

/// Messages that a stream stores.
pub(super) fn store(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    let answerer = Answerer::Stream { is_in_memory: options.has("memory") };
    Ok(Box::new(Asking::new(options, answerer)?))
}

/// Requests that a client answers.
pub(super) fn request(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    if options.count("connections", 1..=CONNECTIONS_MAX)? * 2 > CONNECTIONS_MAX as usize {
        return Err(format!(
            "--connections must be at most {}: each has another one that answers",
            CONNECTIONS_MAX / 2
        ));
    }
    Ok(Box::new(Asking::new(options, Answerer::Client)?))
}

impl Asking {
    fn new(options: &Options, answerer: Answerer) -> Result<Asking, String> {
        let (connections, pipeline) = options.crowd()?;
        let size = options.count("size", 0..=SIZE_MAX)?;
        Ok(Asking { answerer, connections, pipeline, size, run: std::process::id() })
    }

    /// What fills a stream that is there.
    pub(super) fn filling(connections: usize, pipeline: usize, size: usize) -> Asking {
        let answerer = Answerer::Stream { is_in_memory: false };
        Asking { answerer, connections, pipeline, size, run: std::process::id() }
    }

    fn inbox(&self, number: usize) -> String {
        format!("_INBOX.quartet.bench.{}.{number}", self.run)
    }

    fn subject(&self, number: usize) -> String {
        match self.answerer {
            Answerer::Stream { .. } => format!("{}.{number}", stream::SUBJECT),
            Answerer::Client => format!("quartet.bench.{}.request.{number}", self.run),
        }
    }
}

impl Plan for Asking {
    fn connections(&self) -> usize {
        self.connections * self.group()
    }

    fn group(&self) -> usize {
        if self.answerer == Answerer::Client { 2 } else { 1 }
    }

    fn prepare(&self, target: &Target) -> Result<(), String> {
        match self.answerer {
            Answerer::Stream { is_in_memory } => stream::create(target, is_in_memory),
            Answerer::Client => Ok(()),
        }
    }

    fn greeting(&self, connection: usize) -> Vec<u8> {
        let (number, place) = (connection / self.group(), connection % self.group());
        // The first of two asks, the second answers.
        let subject = if place == 0 { format!("{}.*", self.inbox(number)) } else { self.subject(number) };
        format!("SUB {subject} 1\r\n").into_bytes()
    }

    fn traffic(&self, share: Share) -> Box<dyn Traffic> {
        let first = share.first / self.group();
        let count = share.count / self.group();
        let asker = |index: usize| {
            let (subject, inbox) = (self.subject(first + index), self.inbox(first + index));
            format!("PUB {subject} {inbox}.").into_bytes()
        };
        let idle = (0..self.pipeline).flat_map(|slot| (0..count).map(move |asker| (asker, slot)));
        Box::new(Questions {
            answerer: self.answerer,
            members: self.group(),
            askers: (0..count).map(asker).collect(),
            intended: vec![vec![None; self.pipeline]; count],
            idle: idle.rev().collect(),
            rest: format!(" {}\r\n{}\r\n", self.size, "x".repeat(self.size)).into_bytes(),
            unanswered: 0,
        })
    }

    fn clean_up(&self, target: &Target) -> Result<(), String> {
        match self.answerer {
            Answerer::Stream { .. } => stream::delete(target),
            Answerer::Client => Ok(()),
        }
    }
}

/// The questions of one thread.
struct Questions {
    answerer: Answerer,
    /// How many connections belong to an asker.
    members: usize,
    /// What each question of an asker begins with.
    askers: Vec<Vec<u8>>,
    /// When the question in a slot was meant to be asked, while it is unanswered.
    intended: Vec<Vec<Option<u64>>>,
    /// Slots without a question: the asker and its slot.
    idle: Vec<(usize, usize)>,
    /// What follows the reply subject: the length and the message.
    rest: Vec<u8>,
    unanswered: usize,
}

impl Questions {
    fn ask(&mut self, asker: usize, slot: usize, intended: u64, stage: &mut Stage<'_>) {
        let output = stage.outputs[asker * self.members].bytes();
        output.extend_from_slice(&self.askers[asker]);
        output.extend_from_slice(slot.to_string().as_bytes());
        output.extend_from_slice(&self.rest);
        self.intended[asker][slot] = Some(intended);
        self.unanswered += 1;
    }

    /// Takes an answer in, and asks again.
    fn answered(&mut self, asker: usize, message: &Message<'_>, stage: &mut Stage<'_>) -> Result<(), String> {
        let slot = message.subject.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        let slot: Option<usize> = std::str::from_utf8(slot).ok().and_then(|slot| slot.parse().ok());
        let asked = slot.and_then(|slot| Some((slot, self.intended[asker].get_mut(slot)?.take()?)));
        let Some((slot, intended)) = asked else {
            return Err(format!("it delivered an answer to nothing, on {}", message.subject.escape_ascii()));
        };
        self.unanswered -= 1;
        stage.tally.done(stage.now.saturating_sub(intended));
        if message.is_status() {
            stage
                .tally
                .failed(b"nobody answers: no stream has the subject, or no client is subscribed to it");
        } else if matches!(self.answerer, Answerer::Stream { .. }) {
            let is_stored = memmem::find(message.payload, b"\"seq\":").is_some();
            if !is_stored || memmem::find(message.payload, b"\"error\"").is_some() {
                stage.tally.failed(message.payload);
            }
        }
        match stage.pace.begin(stage.now) {
            Some(intended) => self.ask(asker, slot, intended, stage),
            None => self.idle.push((asker, slot)),
        }
        Ok(())
    }
}

impl Traffic for Questions {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        while let Some(&(asker, slot)) = self.idle.last()
            && let Some(intended) = stage.pace.begin(stage.now)
        {
            self.idle.pop();
            self.ask(asker, slot, intended, stage);
        }
    }

    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String> {
        let (asker, is_asker) = (connection / self.members, connection.is_multiple_of(self.members));
        let mut at = 0;
        while let Some((length, frame)) = next(&input[at..])? {
            at += length;
            match frame {
                Frame::Message(message) if is_asker => self.answered(asker, &message, stage)?,
                Frame::Message(message) => {
                    let output = stage.outputs[connection].bytes();
                    output.extend_from_slice(b"PUB ");
                    output.extend_from_slice(message.reply);
                    output.extend_from_slice(b" 2\r\nok\r\n");
                }
                Frame::Ping => stage.outputs[connection].bytes().extend_from_slice(b"PONG\r\n"),
                Frame::Pong | Frame::Other => {}
            }
        }
        Ok(at)
    }

    fn is_settled(&self) -> bool {
        self.unanswered == 0
    }

    fn missing(&self) -> String {
        format!("{} messages are unanswered", self.unanswered)
    }
}
