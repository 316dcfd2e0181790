//! A simulation of the broker, a network and clients of every listener, from one seed.
//!
//! The network cuts what clients write at any byte and delays it.  Clients read at once, slowly or not at all for a while; they
//! are cut off and come back; they publish, subscribe in queue groups and with wildcards, unsubscribe at once or after a
//! number of messages.  Their policies are all that there are, and in half of the rounds all that waits is too much.  The
//! `auditor` knows every operation in the order in which the server has run it, and says what each client may hear.
//! `QUARTET_TEST_BROKER_SEED=7` plays one seed; `QUARTET_LONG` is set to play thousands.

mod auditor;
mod client;
mod feeds;

use std::env;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quartet::delivery::Outbox;
use quartet::random::Random;
use quartet::settings::{Settings, SlowConsumer};

use crate::support::simulated_server::SimulatedServer;
use auditor::Auditor;
use client::{Client, Form, Heard, Pace};
use feeds::Feeds;

/// Seeds that are played, unless one is named.
const SEEDS: u64 = 8;
const SEEDS_LONG: u64 = 2_000;
const SEED: &str = "QUARTET_TEST_BROKER_SEED";

const THREADS: usize = 3;
const CLIENTS: usize = 9;
const STEPS: usize = 150;
const STEP: Duration = Duration::from_millis(10);

/// What may wait for one client, and for all of them where that is bounded.
const PENDING_MAX: usize = 32 * 1024;
const MEMORY_LIMIT: usize = 256 * 1024;

/// What may be used beyond the limit when nobody is about to be disconnected: a 32nd of it and what one batch brings.
const MEMORY_SLACK: usize = 64 * 1024;

/// What those may hold besides who are, until they have their turn.
const FREEING_MAX: usize = 192 * 1024;

/// A client for which never more waited than this when a batch was handed over has not been slow, and may miss nothing.
const BEHIND_MIN: usize = 8 * 1024;

/// Most messages that a client publishes at once, and their bytes; their lengths, of which the long ones are rare.
const BURST_MAX: usize = 10;
const BURST_LENGTH_MAX: usize = 24_000;
const LENGTHS: [usize; 8] = [0, 10, 100, 100, 1_000, 1_000, 3_000, 8_000];

/// A fault that is made on purpose, to see that it is found.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// A message gets lost on its way to its reader.
    Loss,
    /// One comes twice.
    Repetition,
    /// Two change places.
    Order,
    /// A notice of missed messages gets lost.
    LostNotice,
}

struct World {
    random: Random,
    server: SimulatedServer,
    clients: Vec<Client>,
    feeds: Feeds,
    auditor: Auditor,
    outboxes: Vec<Weak<Outbox>>,
    next_client: usize,
    step: usize,
    is_bounded: bool,
    fault: Option<Fault>,
}

/// What has happened in a round.
struct Tally {
    /// Messages for which clients were too slow.
    missed: u64,
    /// How often clients became too slow, by policy.
    slow: Vec<u64>,
}

#[test]
fn clients_hear_what_they_should_whatever_the_network_does() {
    let play = |seed| simulate(seed, None).unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"));
    if let Some(seed) = env::var(SEED).ok().and_then(|text| text.parse().ok()) {
        play(seed);
        return;
    }
    let seeds = if env::var_os("QUARTET_LONG").is_some() { SEEDS_LONG } else { SEEDS };
    let tallies: Vec<Tally> = (0..seeds).map(play).collect();
    assert!(tallies.iter().map(|tally| tally.missed).sum::<u64>() > 100, "hardly anybody was slow");
    for (place, policy) in SlowConsumer::ALL.iter().enumerate() {
        let times: u64 = tallies.iter().map(|tally| tally.slow[place]).sum();
        assert!(times > 0, "nobody has met {policy:?}");
    }
}

#[test]
fn the_auditor_finds_faults() {
    for fault in [Fault::Loss, Fault::Repetition, Fault::Order, Fault::LostNotice] {
        let is_found = (0..10).any(|seed| simulate(seed, Some(fault)).is_err());
        assert!(is_found, "{fault:?} was not found");
    }
}

fn simulate(seed: u64, fault: Option<Fault>) -> Result<Tally, String> {
    let mut random = Random::with_seed(seed);
    let is_bounded = random.below(2) == 0;
    let mut settings = Settings {
        broker_max_pending: PENDING_MAX,
        broker_memory_limit: if is_bounded { MEMORY_LIMIT } else { 0 },
        broker_slow_consumer: SlowConsumer::ALL[random.below(SlowConsumer::ALL.len())],
        ..Settings::default()
    };
    settings.client_output_buffer_limit.pubsub.hard = PENDING_MAX;
    let server = SimulatedServer::new(settings, THREADS);
    let mut world = World {
        random,
        server,
        clients: Vec::new(),
        feeds: Feeds::new(is_bounded),
        auditor: Auditor::default(),
        outboxes: Vec::new(),
        next_client: 0,
        step: 0,
        is_bounded,
        fault,
    };
    for _ in 0..STEPS {
        world.take_step()?;
    }
    world.finish()
}

impl World {
    fn take_step(&mut self) -> Result<(), String> {
        self.step += 1;
        while self.clients.len() < CLIENTS {
            self.connect();
        }
        for _ in 0..1 + self.random.below(5) {
            self.act();
        }
        self.server.advance(STEP, |_| {});
        for client in &mut self.clients {
            client.carry(self.step);
        }
        self.settle()
    }

    fn connect(&mut self) {
        let form = Form::ALL[self.random.below(Form::ALL.len())];
        let connection = self.server.connect(form.protocol()).expect("the door is open");
        let newest = self.server.services.clients.all().pop().expect("it has just connected");
        self.outboxes.push(Arc::downgrade(&newest.outbox));
        let policy = SlowConsumer::ALL[self.random.below(SlowConsumer::ALL.len())];
        let client = Client::new(self.next_client, form, policy, connection, &mut self.random);
        self.next_client += 1;
        self.clients.push(client);
    }

    /// A client does something, or something is done to it.
    fn act(&mut self) {
        let place = self.random.below(self.clients.len());
        let World { random, clients, auditor, feeds, server, step, .. } = self;
        let client = &mut clients[place];
        match random.below(20) {
            0..5 => client.subscribe(*step, random),
            5 => client.unsubscribe(*step, random),
            6..15 => {
                let length = LENGTHS[random.below(LENGTHS.len())];
                let most = (BURST_LENGTH_MAX / length.max(1)).clamp(1, BURST_MAX);
                let count = 1 + random.below(most);
                client.publish(*step, random, auditor, count, length);
            }
            15..18 => client.change_pace(*step, random),
            18 => feeds.change(&server.services.fan_out, random, auditor),
            _ if random.below(4) == 0 => self.cut(place),
            _ => {}
        }
    }

    /// The connection of a client is lost, with what is on its way in both directions.
    fn cut(&mut self, place: usize) {
        let mut client = self.clients.swap_remove(place);
        self.server.cut(&mut client.connection);
        self.auditor.end(client.number);
    }

    /// Turns of all connections in any order, until none has anything to do and nobody wants to read.
    fn settle(&mut self) -> Result<(), String> {
        let mut has_budget: Vec<usize> =
            self.clients.iter().map(|client| client.reads_max(self.step)).collect();
        loop {
            let mut is_quiet = true;
            let first = self.random.below(self.clients.len().max(1));
            for turn in 0..self.clients.len() {
                let place = (first + turn) % self.clients.len();
                is_quiet &= !self.server.turn(&mut self.clients[place].connection);
                self.note_turn(place)?;
                is_quiet &= !self.read(place, &mut has_budget[place])?;
                self.feeds.read(&mut self.auditor)?;
            }
            if is_quiet {
                break;
            }
        }
        self.check_budget(MEMORY_SLACK)?;
        self.remove_closed()
    }

    /// Tells the auditor what a turn has done, and looks at what waits for whom.
    fn note_turn(&mut self, place: usize) -> Result<(), String> {
        let client = &mut self.clients[place];
        client.report_done(&mut self.auditor);
        if client.connection.has_ended() {
            self.auditor.end(client.number);
        }
        self.clients.iter_mut().for_each(|client| client.connection.note_waiting());
        self.check_budget(MEMORY_SLACK + FREEING_MAX)
    }

    fn check_budget(&self, slack: usize) -> Result<(), String> {
        let used = self.server.services.fan_out.waiting_bytes();
        if self.is_bounded && used > MEMORY_LIMIT + slack {
            return Err(format!("{used} bytes wait in step {}", self.step));
        }
        Ok(())
    }

    /// A client reads up to so many bytes; whether it has read any.
    fn read(&mut self, place: usize, most: &mut usize) -> Result<bool, String> {
        let client = &mut self.clients[place];
        let (mut heard, length) = client.read(*most)?;
        *most -= length.min(*most);
        if let Some(fault) = self.fault
            && spoil(&mut heard, fault)
        {
            self.fault = None;
        }
        for heard in heard {
            self.auditor.hear(client.number, &heard, client.was_behind())?;
        }
        Ok(length > 0)
    }

    /// Forgets the clients that were disconnected and have read the rest.
    fn remove_closed(&mut self) -> Result<(), String> {
        for place in (0..self.clients.len()).rev() {
            if self.clients[place].connection.is_closed() {
                let client = self.clients.swap_remove(place);
                if !client.was_behind() {
                    return Err(format!("client {} was disconnected and was not slow", client.number));
                }
            }
        }
        Ok(())
    }

    /// All read what there is, and nothing is left.
    fn finish(mut self) -> Result<Tally, String> {
        for client in &mut self.clients {
            client.pace = Pace::Prompt;
            client.carry(usize::MAX);
        }
        self.settle()?;
        let World { mut server, clients, feeds, outboxes, mut auditor, .. } = self;
        feeds.finish(&mut auditor)?;
        clients.iter().try_for_each(|client| auditor.check_complete(client.number))?;
        auditor.check_groups(|number| clients.iter().any(|client| client.number == number))?;
        for mut client in clients {
            server.cut(&mut client.connection);
        }
        let services = Arc::clone(&server.services);
        drop(server);
        let tally = Tally {
            missed: services.fan_out.missed(),
            slow: services.fan_out.slow_receivers().map(|(_, times)| times).collect(),
        };
        let left = (
            services.fan_out.channels.subscription_count(),
            services.fan_out.waiting_bytes(),
            services.clients.all().len(),
            outboxes.iter().filter(|outbox| outbox.strong_count() > 0).count(),
        );
        if left != (0, 0, 0, 0) {
            return Err(format!("subscriptions, bytes, clients and outboxes are left: {left:?}"));
        }
        Ok(tally)
    }
}

/// Makes a fault in what a client has heard, if there is room for it.
fn spoil(heard: &mut Vec<Heard>, fault: Fault) -> bool {
    let is_message = |heard: &Heard| matches!(heard, Heard::Message { .. });
    match fault {
        Fault::Loss => heard.iter().position(is_message).map(|at| heard.remove(at)).is_some(),
        Fault::Repetition => {
            let Some(at) = heard.iter().position(is_message) else { return false };
            heard.push(heard[at].clone());
            true
        }
        Fault::Order => {
            let is_pair = |pair: &[Heard]| is_message(&pair[0]) && pair[0].name() == pair[1].name();
            let Some(at) = heard.windows(2).position(is_pair) else { return false };
            heard.swap(at, at + 1);
            true
        }
        Fault::LostNotice => {
            heard.iter().position(|heard| !is_message(heard)).map(|at| heard.remove(at)).is_some()
        }
    }
}
