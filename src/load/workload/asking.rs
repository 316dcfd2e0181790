//! Requests over a broker: messages that a stream acknowledges, and requests that another client answers.

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use quartet_protocol::resp::number::{parse_integer, unsigned_text};

use super::super::message::{Frame, Message, next};
use super::super::options::{CONNECTIONS_MAX, Options, SIZE_MAX, SUBJECTS_MAX};
use super::super::plan::{Plan, Share};
use super::super::target::Target;
use super::super::traffic::{Stage, Traffic};
use super::stream::{self, Keeping};

/// What the headers of a message say before its id and behind it.
const ID_HEAD: &[u8] = b"NATS/1.0\r\nNats-Msg-Id: ";
const ID_END: &[u8] = b"\r\n\r\n";

const LINE_END: &[u8] = b"\r\n";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answerer {
    /// A stream that stores the messages.
    Stream,
    /// A client on a connection of its own for each asking connection.
    Client,
}

/// The subjects of the messages.
#[derive(Clone, Debug)]
enum Subjects {
    /// Each asker has one: this, and its number.
    Own(String),
    /// All askers have this one.
    One(String),
    /// So many, which have turns: this, and a number.
    Turns(String, u64),
}

/// Connections that ask.
pub(super) struct Asking {
    answerer: Answerer,
    subjects: Subjects,
    /// The stream to be made before; None if it is there.
    made: Option<Keeping>,
    /// Whether the stream stays.
    is_kept: bool,
    /// What the ids of messages begin with, if they have some.
    ids: Option<String>,
    connections: usize,
    pipeline: usize,
    size: usize,
    run: u32,
}

/// Messages that a stream stores.
pub(super) fn store(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let keeping = Keeping { is_in_memory: options.has("memory"), is_unsynced: options.has("async") };
    if keeping.is_in_memory && keeping.is_unsynced {
        return Err("say --memory or --async, not both: nothing in memory is synced".to_owned());
    }
    let is_there = options.has("subject");
    if is_there && (options.has("keep") || keeping != Keeping::default()) {
        return Err("--subject is of a stream that is there and stays as it is: it goes without --async, \
                    --memory and --keep"
            .to_owned());
    }
    let subject = if is_there { subject(options)? } else { stream::SUBJECT.to_owned() };
    let subjects = match (options.has("subjects"), is_there) {
        (true, _) => Subjects::Turns(subject, options.number("subjects", 1..=SUBJECTS_MAX)?),
        (false, true) => Subjects::One(subject),
        (false, false) => Subjects::Own(subject),
    };
    // A stream forgets ids after a while only, so each run has others.
    let ids = || format!("{:x}.{:x}.", std::process::id(), target.clock.now().micros());
    Ok(Box::new(Asking {
        made: (!is_there).then_some(keeping),
        is_kept: options.has("keep"),
        ids: options.has("message-ids").then(ids),
        ..Asking::new(options, Answerer::Stream, subjects)?
    }))
}

/// The subject to store at.
fn subject(options: &Options) -> Result<String, String> {
    let text = options.text("subject");
    let is_word = |word: &str| {
        !word.is_empty() && !word.contains(|letter: char| "*>".contains(letter) || letter <= ' ')
    };
    if text.split('.').all(is_word) {
        return Ok(text.to_owned());
    }
    Err(format!("--subject must be words with dots between them, without wildcards, not '{text}'"))
}

/// Requests that a client answers.
pub(super) fn request(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    if options.count("connections", 1..=CONNECTIONS_MAX)? * 2 > CONNECTIONS_MAX as usize {
        return Err(format!(
            "--connections must be at most {}: each has another one that answers",
            CONNECTIONS_MAX / 2
        ));
    }
    let subjects = Subjects::Own(format!("quartet.bench.{}.request", std::process::id()));
    Ok(Box::new(Asking::new(options, Answerer::Client, subjects)?))
}

impl Asking {
    fn new(options: &Options, answerer: Answerer, subjects: Subjects) -> Result<Asking, String> {
        let (connections, pipeline) = options.crowd()?;
        let size = options.count("size", 0..=SIZE_MAX)?;
        let filling = Asking::filling(connections, pipeline, size);
        Ok(Asking { answerer, subjects, ..filling })
    }

    /// What fills a stream that is there.
    pub(super) fn filling(connections: usize, pipeline: usize, size: usize) -> Asking {
        Asking {
            answerer: Answerer::Stream,
            subjects: Subjects::Own(stream::SUBJECT.to_owned()),
            made: None,
            is_kept: true,
            ids: None,
            connections,
            pipeline,
            size,
            run: std::process::id(),
        }
    }

    /// What the reply subjects of an asker begin with.  One word follows, as in those of client libraries.
    fn inbox(&self, number: usize) -> String {
        format!("_INBOX.quartet-bench-{}-{number}", self.run)
    }

    /// The subject of an asker, or what all its subjects begin with.
    fn subject(&self, number: usize) -> String {
        match &self.subjects {
            Subjects::Own(prefix) => format!("{prefix}.{number}"),
            Subjects::One(subject) => subject.clone(),
            Subjects::Turns(prefix, _) => format!("{prefix}."),
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
        self.made.map_or(Ok(()), |keeping| stream::create(target, keeping))
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
        let verb = if self.ids.is_some() { "HPUB" } else { "PUB" };
        let asker = |index: usize| Asker {
            subject: format!("{verb} {}", self.subject(first + index)).into_bytes(),
            inbox: format!(" {}.", self.inbox(first + index)).into_bytes(),
        };
        let idle = (0..self.pipeline).flat_map(|slot| (0..count).map(move |asker| (asker, slot)));
        let turns = if let Subjects::Turns(_, count) = self.subjects { Some(count) } else { None };
        Box::new(Questions {
            answerer: self.answerer,
            members: self.group(),
            askers: (0..count).map(asker).collect(),
            turns,
            ids: self.ids.clone().map(String::into_bytes),
            index: share.thread as u64,
            step: share.threads as u64,
            asked: vec![vec![None; self.pipeline]; count],
            idle: idle.rev().collect(),
            payload: [&vec![b'x'; self.size][..], LINE_END].concat(),
            unanswered: 0,
            good: Finder::new("\"seq\":"),
            bad: ["\"error\"", "\"duplicate\""].map(Finder::new),
        })
    }

    fn clean_up(&self, target: &Target) -> Result<(), String> {
        if self.made.is_none() || self.is_kept { Ok(()) } else { stream::delete(target) }
    }
}

/// A client that asks.
struct Asker {
    /// What each of its questions begins with, up to the subject or its last word.
    subject: Vec<u8>,
    /// Where it hears the answers, up to the last word.
    inbox: Vec<u8>,
}

/// A question that is unanswered.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// Its number among those of all threads.
    index: u64,
    /// When it was meant to be asked.
    intended: u64,
}

/// Between the slot and the number of a question, in the last word of its reply subject.
///
/// No two questions have the same word: a broker that remembers subjects would have less to do, and an answer that comes late or twice
/// would be taken for that of the next question in the slot.
const WORD_MIDDLE: u8 = b'-';

/// The questions of one thread.
struct Questions {
    answerer: Answerer,
    /// How many connections belong to an asker.
    members: usize,
    askers: Vec<Asker>,
    /// How many subjects have turns.
    turns: Option<u64>,
    /// What the ids of messages begin with.
    ids: Option<Vec<u8>>,
    /// The number of the next question among those of all threads, and from one of this thread to the next.
    index: u64,
    step: u64,
    /// The question in each slot of each asker.
    asked: Vec<Vec<Option<Question>>>,
    /// Slots without a question: the asker and its slot.
    idle: Vec<(usize, usize)>,
    /// The message with the end of its line.
    payload: Vec<u8>,
    unanswered: usize,
    /// What the acknowledgement of a message that is stored says, and what it does not say.  Each message has another id, so none is a
    /// duplicate.
    good: Finder<'static>,
    bad: [Finder<'static>; 2],
}

impl Questions {
    fn ask(&mut self, asker: usize, slot: usize, intended: u64, stage: &mut Stage<'_>) {
        let output = stage.outputs[asker * self.members].bytes();
        let Asker { subject, inbox } = &self.askers[asker];
        output.extend_from_slice(subject);
        if let Some(count) = self.turns {
            output.extend_from_slice(&unsigned_text(self.index % count));
        }
        output.extend_from_slice(inbox);
        output.extend_from_slice(&unsigned_text(slot as u64));
        output.push(WORD_MIDDLE);
        output.extend_from_slice(&unsigned_text(self.index));
        output.push(b' ');
        let length = (self.payload.len() - LINE_END.len()) as u64;
        if let Some(beginning) = &self.ids {
            let index = unsigned_text(self.index);
            let headers = [ID_HEAD, beginning, &index, ID_END];
            let headers_length = headers.map(<[u8]>::len).iter().sum::<usize>() as u64;
            output.extend_from_slice(&unsigned_text(headers_length));
            output.push(b' ');
            output.extend_from_slice(&unsigned_text(headers_length + length));
            output.extend_from_slice(LINE_END);
            headers.iter().for_each(|part| output.extend_from_slice(part));
        } else {
            output.extend_from_slice(&unsigned_text(length));
            output.extend_from_slice(LINE_END);
        }
        output.extend_from_slice(&self.payload);
        self.asked[asker][slot] = Some(Question { index: self.index, intended });
        self.index += self.step;
        self.unanswered += 1;
    }

    /// The slot and the question that a reply subject belongs to; the slot is free then.
    fn take(&mut self, asker: usize, subject: &[u8]) -> Option<(usize, Question)> {
        let word = &subject[memrchr(b'.', subject)? + 1..];
        let (slot, index) = word.split_at(memchr(WORD_MIDDLE, word)?);
        let slot = usize::try_from(parse_integer(slot)?).ok()?;
        let index = u64::try_from(parse_integer(&index[1..])?).ok()?;
        let question = self.asked[asker].get_mut(slot)?.take_if(|question| question.index == index)?;
        Some((slot, question))
    }

    /// Takes an answer in, and asks again.
    fn answered(&mut self, asker: usize, message: &Message<'_>, stage: &mut Stage<'_>) -> Result<(), String> {
        let Some((slot, question)) = self.take(asker, message.subject) else {
            return Err(format!("it delivered an answer to nothing, on {}", message.subject.escape_ascii()));
        };
        self.unanswered -= 1;
        stage.tally.done(stage.now.saturating_sub(question.intended));
        if message.is_status() {
            stage
                .tally
                .failed(b"nobody answers: no stream has the subject, or no client is subscribed to it");
        } else if self.answerer == Answerer::Stream {
            let is_stored = self.good.find(message.payload).is_some();
            if !is_stored || self.bad.iter().any(|word| word.find(message.payload).is_some()) {
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::super::connection::Outgoing;
    use super::super::super::pacing::{Bound, Pace};
    use super::super::super::tally::Tally;
    use super::*;
    use crate::random::Random;

    /// One thread of two, and all that its questions work with.
    struct Scene {
        traffic: Box<dyn Traffic>,
        outputs: Vec<Outgoing>,
        random: Random,
        tally: Tally,
        pace: Pace,
    }

    impl Scene {
        /// Two askers of three questions at a time each, of which a stream stores as many as it may.
        fn new(thread: usize, questions: u64) -> Scene {
            let share = Share { thread, threads: 2, first: thread * 2, count: 2 };
            let mut scene = Scene {
                traffic: Asking::filling(4, 3, 5).traffic(share),
                outputs: vec![Outgoing::default(), Outgoing::default()],
                random: Random::with_seed(1),
                tally: Tally::new(),
                pace: Pace::new(Bound::Count(questions), None, 0, 0, 1),
            };
            scene.play(|traffic, stage| traffic.begin(stage));
            scene
        }

        fn play<T>(&mut self, act: impl FnOnce(&mut dyn Traffic, &mut Stage<'_>) -> T) -> T {
            let Scene { traffic, outputs, random, tally, pace } = self;
            act(traffic.as_mut(), &mut Stage { now: 0, outputs, random, tally, pace })
        }

        /// Takes the questions of a connection since the last call, and returns their reply subjects.
        fn asked(&mut self, connection: usize) -> Vec<String> {
            let text =
                String::from_utf8(std::mem::take(self.outputs[connection].bytes())).expect("it is text");
            let questions = text.lines().filter(|line| line.starts_with("PUB "));
            questions.map(|line| line.split(' ').nth(2).expect("it asks").to_owned()).collect()
        }

        /// Has the acknowledgement of a message come in.
        fn acknowledge(&mut self, connection: usize, subject: &str) -> Result<usize, String> {
            let input = format!("MSG {subject} 1 9\r\n{{\"seq\":1}}\r\n");
            self.play(|traffic, stage| traffic.receive(connection, input.as_bytes(), stage))
        }
    }

    #[test]
    fn no_reply_subject_is_used_again() {
        let mut seen = HashSet::new();
        for thread in 0..2 {
            let mut scene = Scene::new(thread, 60);
            // The slots of a connection are answered in another order than they were asked in.
            let mut waiting = [scene.asked(0), scene.asked(1)];
            assert_eq!(waiting.each_ref().map(Vec::len), [3, 3]);
            while let Some(connection) = waiting.iter().position(|subjects| !subjects.is_empty()) {
                let subject = waiting[connection].pop().expect("it is not empty");
                scene.acknowledge(connection, &subject).expect("it was asked for");
                waiting[connection].splice(0..0, scene.asked(connection));
                assert!(seen.insert(subject.clone()), "{subject}");
            }
            assert_eq!((scene.tally.operations, scene.traffic.is_settled()), (60, true));
        }
        assert_eq!(seen.len(), 120);
    }

    #[test]
    fn an_answer_belongs_to_one_question_only() {
        let mut scene = Scene::new(0, 60);
        let first = scene.asked(0).remove(0);
        scene.acknowledge(0, &first).expect("it was asked for");
        let next = scene.asked(0).remove(0);
        // Both have the same slot, in which the next question waits for its own answer.
        let beginning = first.rsplit_once('-').expect("it has a number").0;
        assert!(next.starts_with(&format!("{beginning}-")), "{first} {next}");
        let no_number =
            [beginning.to_owned(), format!("{beginning}-"), format!("{next}0"), format!("{next}-1")];
        for subject in no_number.iter().chain([&first]) {
            let refused = format!("it delivered an answer to nothing, on {subject}");
            assert_eq!(scene.acknowledge(0, subject), Err(refused));
        }
        assert_eq!(scene.tally.operations, 1);
        scene.acknowledge(0, &next).expect("it was asked for");
        assert_eq!(scene.tally.operations, 2);
    }
}
