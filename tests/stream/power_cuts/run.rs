//! One run from one seed: a client asks, a server and its disk go on, the power is lost, and everything that the client is told is
//! compared with what it may be.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quartet::clock::{Clock, Now};
use quartet::random::Random;
use serde_json::{Value, json};

use super::changes::{CONSUMERS, random_change};
use super::machine::Machine;
use super::model::{Change, Publication};
use super::server::Server;
use super::worlds::Worlds;

/// The streams.
const NAMES: [&str; 3] = ["S", "T", "U"];

/// Lines of the story that a failure tells.
const LINES: usize = 400;

/// When the clock starts.
const BOOT: Duration = Duration::from_secs(1_000);
const WALL: Duration = Duration::from_secs(1_800_000_000);

/// A stream as its client knows it.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) worlds: Worlds,
    pub(super) consumers: BTreeMap<&'static str, Consumer>,
}

/// What a client has said to a consumer.
#[derive(Default)]
pub(super) struct Consumer {
    /// Messages that the client has not acknowledged yet, with their reply subjects.
    pub(super) open: Vec<(u64, String)>,
    /// Messages that it has acknowledged.
    pub(super) said: BTreeSet<u64>,
    /// Messages whose acknowledgement was confirmed.
    pub(super) confirmed: BTreeSet<u64>,
}

/// What an answer is about.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Publication(usize),
    Change(usize),
    Acknowledgement {
        consumer: &'static str,
        sequence: u64,
    },
    Pull,
    /// Something that is looked at by whoever has asked.
    Look,
}

/// See the module's text.
pub(super) struct Run {
    seed: u64,
    pub(super) random: Random,
    pub(super) machine: Machine,
    pub(super) clock: Arc<Clock>,
    pub(super) server: Option<Server>,
    pub(super) streams: Vec<Known>,
    operations: usize,
    /// The stream and the meaning of the answer on a subject.
    pub(super) asked: BTreeMap<String, (usize, Asked)>,
    story: Vec<String>,
    /// What was counted, to see that the run has met everything.
    pub(super) counted: BTreeMap<&'static str, u64>,
}

impl Run {
    pub(super) fn new(seed: u64) -> Run {
        let streams = NAMES.map(|name| Known { name, worlds: Worlds::new(), consumers: BTreeMap::new() });
        let mut run = Run {
            seed,
            random: Random::with_seed(seed),
            machine: Machine::default(),
            clock: Arc::new(Clock::manual(Now::at(BOOT, WALL))),
            server: None,
            streams: streams.into(),
            operations: 0,
            asked: BTreeMap::new(),
            story: Vec::new(),
            counted: BTreeMap::new(),
        };
        run.start();
        run
    }

    /// Notes what happens.
    pub(super) fn tell(&mut self, line: impl Into<String>) {
        self.story.push(line.into());
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
    }

    /// Fails unless this holds.
    #[track_caller]
    pub(super) fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let story = self.story[self.story.len().saturating_sub(LINES)..].join("\n");
            panic!("seed {}: {}\n{story}", self.seed, what());
        }
    }

    pub(super) fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("the server runs")
    }

    /// A number and a subject for an answer that no other one has.
    pub(super) fn expect(&mut self, stream: usize, asked: impl FnOnce(usize) -> Asked) -> (usize, String) {
        self.operations += 1;
        let reply = format!("_INBOX.{}", self.operations);
        self.asked.insert(reply.clone(), (stream, asked(self.operations)));
        (self.operations, reply)
    }

    /// Asks the server, and handles whatever it says at once.
    pub(super) fn say(&mut self, subject: &str, reply: &str, headers: &str, payload: &str) {
        self.server().publish(subject, reply, headers, payload);
        self.listen();
    }

    /// The last of these that a throw of the dice leaves.
    fn any(&mut self, of: usize) -> usize {
        self.random.below(of)
    }

    fn publish(&mut self) {
        let stream = self.any(NAMES.len());
        let number = self.operations + 1;
        let known = &self.streams[stream];
        let mut message = Publication::random(known.name, number, &mut self.random);
        match known.worlds.guess() {
            None if self.random.below(8) > 0 => return,
            // Where old messages are on their way out they count until they are gone.
            Some(state)
                if state.definition.kind == super::model::Kind::Refusing && known.worlds.is_changing() =>
            {
                return;
            }
            Some(state) if !known.worlds.is_changing() => message.wish(&state, number, &mut self.random),
            _ => {}
        }
        // What a limit is going to take for a message that is on its way counts until it is taken.
        let is_waiting =
            self.asked.values().any(|(of, asked)| *of == stream && matches!(asked, Asked::Publication(_)));
        if is_waiting {
            message.expected_on_subject = None;
        }
        let (operation, reply) = self.expect(stream, Asked::Publication);
        self.tell(format!("{operation} publish {message:?}"));
        let worlds = &mut self.streams[stream].worlds;
        let former = worlds.remember();
        worlds.publish(operation, &message);
        self.server().publish(&message.subject, &reply, &message.headers(), &message.payload);
        self.listen_after(stream, operation, former);
    }

    fn change(&mut self) {
        let stream = self.any(NAMES.len());
        let known = &self.streams[stream];
        if known.worlds.is_changing() {
            return;
        }
        let name = known.name;
        let state = known.worlds.guess();
        let (change, request, body) = random_change(name, state.as_ref(), &mut self.random);
        let known = &mut self.streams[stream];
        if matches!(&change, Change::DeleteMessage(sequence) if known.worlds.loose.contains(sequence)) {
            // It may be gone or not.
            return;
        }
        // What was said to one that is to go counts, until another one begins.
        match &change {
            Change::Create(_) => {
                known.consumers.clear();
                known.worlds.loose.clear();
            }
            Change::CreateConsumer(consumer)
                if state.is_some_and(|state| !state.consumers.contains(consumer)) =>
            {
                known.consumers.retain(|known, _| known != consumer);
            }
            _ => {}
        }
        let (operation, reply) = self.expect(stream, Asked::Change);
        self.tell(format!("{operation} {name} {change:?}"));
        let worlds = &mut self.streams[stream].worlds;
        worlds.ask(operation, &change);
        self.say(&format!("$JS.API.{request}"), &reply, "", &body);
    }

    fn pull(&mut self) {
        let stream = self.any(NAMES.len());
        let known = &self.streams[stream];
        let Some(state) = known.worlds.guess().filter(|_| !known.worlds.is_changing()) else { return };
        let Some(consumer) = CONSUMERS.into_iter().find(|name| state.consumers.contains(*name)) else {
            return;
        };
        let name = known.name;
        let batch = 1 + self.any(5);
        let (operation, reply) = self.expect(stream, |_| Asked::Pull);
        self.tell(format!("{operation} pull {batch} from {name} {consumer}"));
        let body = json!({ "batch": batch, "no_wait": true }).to_string();
        self.say(&format!("$JS.API.CONSUMER.MSG.NEXT.{name}.{consumer}"), &reply, "", &body);
    }

    /// The client acknowledges, rejects or gives up a message.
    fn acknowledge(&mut self) {
        let stream = self.any(NAMES.len());
        let random = &mut self.random;
        let known = &mut self.streams[stream];
        let Some((&consumer, of)) = known.consumers.iter_mut().find(|(_, of)| !of.open.is_empty()) else {
            return;
        };
        let (sequence, subject) = of.open.swap_remove(random.below(of.open.len()));
        let (payload, is_double) = [("+ACK", true), ("", false), ("-NAK", false)][random.below(3)];
        if payload != "-NAK" {
            of.said.insert(sequence);
            let state = known.worlds.guess();
            if state.is_some_and(|state| state.definition.kind == super::model::Kind::WorkQueue) {
                known.worlds.loose.insert(sequence);
            }
        }
        let name = known.name;
        let asked = |_| Asked::Acknowledgement { consumer, sequence };
        let (operation, reply) = self.expect(stream, asked);
        self.tell(format!("{operation} {payload} for {sequence} of {name} {consumer}"));
        self.say(&subject, if is_double { &reply } else { "" }, "", payload);
    }

    /// Something that may also happen while a snapshot is written.
    pub(super) fn act(&mut self) {
        match self.any(50) {
            0..20 => self.publish(),
            20..26 => self.change(),
            26..31 => self.server().step(),
            31..35 => self.server().settle(),
            35..41 => {
                self.server().step();
                self.server().settle();
            }
            41..43 => self.look(),
            43..45 => self.pull(),
            45..48 => self.acknowledge(),
            48 => self.clock.advance(Duration::from_millis(10)),
            _ => self.server().advance(),
        }
        self.listen();
    }

    /// The power is lost, and the server starts again.
    pub(super) fn crash(&mut self) {
        self.tell("the power is lost");
        self.server = None;
        self.machine = self.machine.after_power_loss(&mut self.random);
        self.count("power losses");
        self.start();
    }

    /// The server stops in order and starts again.
    pub(super) fn stop(&mut self) {
        self.tell("the server stops in order");
        self.listen();
        let Some(server) = self.server.take() else { return };
        server.stop();
        if self.machine.has_no_power() {
            self.machine = self.machine.after_power_loss(&mut self.random);
        }
        self.machine.mend();
        self.start();
    }

    fn start(&mut self) {
        self.asked.clear();
        self.streams.iter_mut().for_each(|known| {
            known.consumers.values_mut().for_each(|consumer| consumer.open.clear());
        });
        match Server::start(&self.machine, &self.clock) {
            Ok(server) => self.server = Some(server),
            Err(error) => self.check(false, || format!("the server does not start: {error}")),
        }
        self.server().step();
        self.server().settle();
        self.server().advance();
        self.server().step();
        self.server().settle();
        self.server().received();
        self.look_at_everything();
    }

    /// The JSON that a request is answered with at once.
    pub(super) fn json(&mut self, request: &str, body: &str) -> Value {
        let (_, reply) = self.expect(0, |_| Asked::Look);
        self.server().publish(&format!("$JS.API.{request}"), &reply, "", body);
        let answer = self.listen_for(&reply);
        let payload = answer.map(|answer| answer.payload).unwrap_or_default();
        let json = serde_json::from_slice(&payload);
        self.check(json.is_ok(), || format!("{request} is answered with {payload:?}"));
        json.unwrap_or_default()
    }
}

/// Plays a run of so many turns; what was counted.
pub(super) fn play(seed: u64, turns: usize) -> BTreeMap<&'static str, u64> {
    let run = Rc::new(RefCell::new(Run::new(seed)));
    for _ in 0..turns {
        let dice = run.borrow_mut().random.below(100);
        let has_no_power = run.borrow().machine.has_no_power();
        match dice {
            0..40 if has_no_power => run.borrow_mut().crash(),
            0..2 => run.borrow_mut().crash(),
            2 if !has_no_power => run.borrow_mut().stop(),
            3..6 => snapshot(&run),
            6 => {
                let run = &mut *run.borrow_mut();
                run.machine.lose_power_soon(&mut run.random);
            }
            7 => {
                let run = &mut *run.borrow_mut();
                let operations = 1 + run.random.below(6) as u64;
                run.tell(format!("the disk is full for {operations} operations"));
                run.machine.be_full_for(operations);
            }
            _ => run.borrow_mut().act(),
        }
    }
    run.borrow_mut().crash();
    run.borrow_mut().drain();
    let mut run = run.borrow_mut();
    std::mem::take(&mut run.counted)
}

/// Takes a snapshot, while the client and the server go on.
fn snapshot(run: &Rc<RefCell<Run>>) {
    let begun = {
        let mut run = run.borrow_mut();
        run.tell("a snapshot begins");
        let begun = run.server().begin_snapshot();
        run.listen();
        begun
    };
    let Some(begun) = begun else { return };
    let (meanwhile, sync) = (Rc::clone(run), Rc::clone(run));
    let between = move || {
        let mut run = meanwhile.borrow_mut();
        for _ in 0..run.random.below(3) {
            run.act();
        }
    };
    let counts = begun.write(between, || sync.borrow_mut().server().step());
    let mut run = run.borrow_mut();
    run.tell(format!("the snapshot counts: {counts}"));
    run.count(if counts { "snapshots" } else { "failed snapshots" });
}

/// The name of a consumer of the test.
pub(super) fn consumer_named(name: &str) -> &'static str {
    CONSUMERS
        .into_iter()
        .find(|known| *known == name)
        .expect("the server delivers for consumers that are there")
}
