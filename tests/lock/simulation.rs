//! A simulation of clients, a network, the service, its journal and a disk that loses power, from one seed.
//!
//! Messages are delayed, lost and delivered twice.  Clients ask again under the same request id, on the same connection
//! or on another one while the server does not know yet that the first has ended; they give up and die.  The server
//! crashes at any moment and starts again from the disk.  The wall clock jumps by days.  The invariants are checked in
//! each millisecond. `QUARTET_TEST_LOCK_SEED=7` plays one seed.

use std::collections::HashMap;
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet::clock::Now;
use quartet::delivery::Effects;
use quartet::journal::Writer;
use quartet::lock::operation::{Acquire, Advance, Inspect, Release, Renew};
use quartet::lock::{Answer, Asked, Durability, Grant, Locks, Mode, Outcome, RequestId};
use quartet::random::Random;
use quartet::wait::{Barrier, Ticket};

use super::table::ASKING;
use crate::support::kept_locks;
use crate::support::simulated_disk::{SimulatedDisk, Survival};

/// Seeds that are played, unless one is named.
const SEEDS: u64 = 150;
const SEED: &str = "QUARTET_TEST_LOCK_SEED";

const CLIENTS: usize = 6;
const RESOURCES: [&str; 2] = ["a", "b"];

/// Times in milliseconds.
const TTL: u64 = 300;
const WAIT: u64 = 400;
const DURATION: u64 = 3_000;
const DELAY_MAX: usize = 40;
const RETRY_AFTER: u64 = 60;
const GIVES_UP_AFTER: u64 = 700;
const START: u64 = 1_000_000;

/// A holder releases in one of so many milliseconds; many hold until their lease ends.
const RELEASE_ONE_IN: usize = 300;
const RENEW_ONE_IN: usize = 200;
/// A client that asks loses its connection in one of so many milliseconds.
const RECONNECT_ONE_IN: usize = 200;

/// A fault that is made on purpose, to see that it is found.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    /// Replies are sent before the sync.
    RepliesBeforeSync,
    /// Clients count their lease from the reply instead of the request.
    LeasesFromHearing,
}

#[derive(Clone, Debug)]
enum Message {
    Acquire {
        resource: usize,
        request: u64,
        mode: Mode,
    },
    Release {
        resource: usize,
        fence: u64,
    },
    Renew {
        resource: usize,
        fence: u64,
        sent: u64,
    },
    Granted {
        request: u64,
        fence: u64,
    },
    Renewed {
        fence: u64,
        sent: u64,
    },
    Refused {
        request: u64,
    },
    /// The connection has ended.
    Gone,
}

/// A message on its way.
struct Packet {
    arrives: u64,
    to_server: bool,
    client: usize,
    from: Name,
    message: Message,
}

/// The name and connection of a client.  A client that has died comes back under others.
#[derive(Clone, PartialEq)]
struct Name {
    owner: String,
    connection: u64,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    Asking { resource: usize, request: u64, mode: Mode, first_sent: u64, last_sent: u64 },
    Holding { resource: usize, mode: Mode, fence: u64, until: u64 },
}

struct Client {
    name: Name,
    state: State,
}

/// A waiting request at the server.
struct Waiting {
    client: usize,
    name: Name,
    resource: usize,
    request: u64,
    /// The position in the resource's queue.
    number: u64,
    ticket: Ticket<Answer>,
}

struct Server {
    locks: Locks,
    writer: Writer,
    waiting: Vec<Waiting>,
    /// Replies that wait for the disk.
    replies: Vec<(Barrier, usize, Name, Message)>,
    next_number: u64,
    last_granted: [u64; RESOURCES.len()],
}

struct Simulation {
    random: Random,
    fault: Fault,
    now: u64,
    wall: u64,
    disk: SimulatedDisk,
    server: Server,
    clients: Vec<Client>,
    packets: Vec<Packet>,
    next_request: u64,
    names: u64,
    /// The highest fences of each resource that clients were told of: of all grants, and of exclusive ones.
    heard: [(u64, u64); RESOURCES.len()],
    /// Counts of events, to see that they happen.
    seen: HashMap<&'static str, u64>,
}

impl Server {
    fn start(disk: &SimulatedDisk, now: Now) -> Server {
        let opened = kept_locks::open_on(disk, Durability::Full, now);
        let (locks, writer) = opened.expect("what a crash leaves can be read");
        Server {
            locks,
            writer,
            waiting: Vec::new(),
            replies: Vec::new(),
            next_number: 1,
            last_granted: [0; RESOURCES.len()],
        }
    }
}

impl Simulation {
    fn new(seed: u64, fault: Fault) -> Simulation {
        let disk = SimulatedDisk::default();
        let wall = 1_700_000_000_000;
        let server = Server::start(&disk, reading(START, wall));
        let mut simulation = Simulation {
            random: Random::with_seed(seed),
            fault,
            now: START,
            wall,
            disk,
            server,
            clients: Vec::new(),
            packets: Vec::new(),
            next_request: 1,
            names: 0,
            heard: [(0, 0); RESOURCES.len()],
            seen: HashMap::new(),
        };
        for _ in 0..CLIENTS {
            let name = simulation.name();
            simulation.clients.push(Client { name, state: State::Idle });
        }
        simulation
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random.below(count) == 0
    }

    fn name(&mut self) -> Name {
        self.names += 1;
        Name { owner: format!("owner-{}", self.names), connection: self.names }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn time(&self) -> Now {
        reading(self.now, self.wall)
    }

    /// Sends a message over a network that loses some and delivers some twice.
    fn send(&mut self, to_server: bool, client: usize, name: &Name, message: Message) {
        let copies = match self.random.below(20) {
            0 if !matches!(message, Message::Gone) => 0,
            1 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let arrives = self.now + 1 + self.random.below(DELAY_MAX) as u64;
            let (from, message) = (name.clone(), message.clone());
            self.packets.push(Packet { arrives, to_server, client, from, message });
        }
    }

    fn tell_server(&mut self, client: usize, message: Message) {
        let name = self.clients[client].name.clone();
        self.send(true, client, &name, message);
    }

    /// Lets a millisecond pass.
    fn step(&mut self, clients_act: bool) -> Result<(), String> {
        self.now += 1;
        if self.one_in(100) {
            // By up to a year, in both directions.
            let days = self.random.below(365) as u64 * 86_400_000;
            self.wall = if self.one_in(2) { 1_700_000_000_000 + days } else { 1_700_000_000_000 - days };
        }
        if self.one_in(500) {
            self.crash();
        }
        let now = self.now;
        let mut due: Vec<Packet> = self.packets.extract_if(.., |packet| packet.arrives <= now).collect();
        due.sort_by_key(|packet| packet.arrives);
        for Packet { to_server, client, from, message, .. } in due {
            if to_server {
                self.serve(client, &from, message);
            } else if self.clients[client].name == from {
                self.hear(client, message)?;
            }
        }
        if clients_act {
            (0..CLIENTS).for_each(|client| self.act(client));
        }
        self.run_server()
    }

    /// Power is lost; the server starts anew from what the disk has kept.
    fn crash(&mut self) {
        self.note("crash");
        let survival = [Survival::Nothing, Survival::Everything, Survival::Blocks(8)][self.random.below(3)];
        self.disk = self.disk.after_power_loss(survival, &mut self.random);
        self.server = Server::start(&self.disk, self.time());
    }

    /// A step of a client.
    fn act(&mut self, client: usize) {
        if self.one_in(400) {
            self.note("death");
            return self.leave(client);
        }
        let now = self.now;
        match self.clients[client].state.clone() {
            State::Idle if self.one_in(10) => {
                let (resource, request) = (self.random.below(RESOURCES.len()), self.next_request);
                let mode = if self.one_in(3) { Mode::Shared } else { Mode::Exclusive };
                self.next_request += 1;
                let state = State::Asking { resource, request, mode, first_sent: now, last_sent: now };
                self.clients[client].state = state;
                self.tell_server(client, Message::Acquire { resource, request, mode });
            }
            State::Asking { first_sent, .. } if now - first_sent > GIVES_UP_AFTER => self.leave(client),
            State::Asking { resource, request, mode, .. } if self.one_in(RECONNECT_ONE_IN) => {
                self.note("reconnection");
                self.tell_server(client, Message::Gone);
                self.clients[client].name.connection = self.name().connection;
                self.tell_server(client, Message::Acquire { resource, request, mode });
            }
            State::Asking { resource, request, mode, first_sent, last_sent }
                if now - last_sent > RETRY_AFTER =>
            {
                let state = State::Asking { resource, request, mode, first_sent, last_sent: now };
                self.clients[client].state = state;
                self.note("retry");
                self.tell_server(client, Message::Acquire { resource, request, mode });
            }
            State::Holding { until, .. } if now >= until => {
                self.note("lease run out");
                self.leave(client);
            }
            State::Holding { resource, fence, .. } if self.one_in(RELEASE_ONE_IN) => {
                self.clients[client].state = State::Idle;
                self.tell_server(client, Message::Release { resource, fence });
                self.clients[client].name = self.name();
            }
            State::Holding { resource, fence, .. } if self.one_in(RENEW_ONE_IN) => {
                self.tell_server(client, Message::Renew { resource, fence, sent: now });
            }
            _ => {}
        }
    }

    /// A client ends its connection and comes back under another name.
    fn leave(&mut self, client: usize) {
        self.tell_server(client, Message::Gone);
        let name = self.name();
        self.clients[client] = Client { name, state: State::Idle };
    }

    /// The server handles a message.
    fn serve(&mut self, client: usize, from: &Name, message: Message) {
        let owner = &from.owner;
        let (now, mut effects) = (self.time(), Effects::default());
        let reply = match message {
            Message::Acquire { resource, request, mode } => {
                let (name, id) = (RESOURCES[resource], request.to_string());
                let asking = Acquire {
                    owner: owner.as_bytes(),
                    resources: &[name.as_bytes()],
                    mode,
                    ttl: Some(TTL),
                    wait: WAIT,
                    request: RequestId { scope: owner.as_bytes(), id: id.as_bytes() },
                    ..ASKING
                };
                match self.server.locks.run(&asking, now, &mut effects) {
                    Ok(Asked::Granted(Grant { fence, .. })) => Message::Granted { request, fence },
                    Ok(Asked::Waiting(ticket)) => {
                        return self.queue(client, from, resource, request, ticket);
                    }
                    Ok(Asked::Busy | Asked::Deadlock(_)) | Err(_) => Message::Refused { request },
                }
            }
            Message::Release { resource, fence } => {
                let release = Release {
                    resource: RESOURCES[resource].as_bytes(),
                    owner: owner.as_bytes(),
                    fence: Some(fence),
                    ..Release::default()
                };
                // A lease that has ended cannot be released.
                let _ = self.server.locks.run(&release, now, &mut effects);
                return;
            }
            Message::Renew { resource, fence, sent } => {
                let renew = Renew {
                    resources: &[RESOURCES[resource].as_bytes()],
                    owner: owner.as_bytes(),
                    ttl: TTL,
                    fence: Some(fence),
                    request: RequestId::default(),
                };
                match self.server.locks.run(&renew, now, &mut effects) {
                    Ok(_) => Message::Renewed { fence, sent },
                    Err(_) => return,
                }
            }
            Message::Gone => {
                let is_gone = |waiting: &mut Waiting| waiting.name.connection == from.connection;
                let gone: Vec<Waiting> = self.server.waiting.extract_if(.., is_gone).collect();
                for waiting in gone {
                    self.server.locks.cancel(&waiting.ticket, now, &mut Effects::default());
                }
                return;
            }
            Message::Granted { .. } | Message::Renewed { .. } | Message::Refused { .. } => return,
        };
        self.reply(client, from, reply, effects.take_barrier());
    }

    fn queue(&mut self, client: usize, from: &Name, resource: usize, request: u64, ticket: Ticket<Answer>) {
        self.note("wait");
        let same = |waiting: &Waiting| waiting.name.owner == from.owner && waiting.request == request;
        let before = self.server.waiting.iter().position(same).map(|place| self.server.waiting.remove(place));
        let number = match before {
            // A retry keeps its position; a wait that was over begins anew.
            Some(before) if is_superseded(&before.ticket) => before.number,
            _ => {
                self.server.next_number += 1;
                self.server.next_number
            }
        };
        let name = from.clone();
        self.server.waiting.push(Waiting { client, name, resource, request, number, ticket });
    }

    fn reply(&mut self, client: usize, name: &Name, reply: Message, barrier: Option<Barrier>) {
        match barrier.filter(|_| self.fault != Fault::RepliesBeforeSync) {
            Some(barrier) => self.server.replies.push((barrier, client, name.clone(), reply)),
            None => self.send(false, client, name, reply),
        }
    }

    /// Time passes at the server: leases end, answers come, the disk syncs.
    fn run_server(&mut self) -> Result<(), String> {
        let now = self.time();
        self.server.locks.run(&Advance, now, &mut Effects::default());
        let mut answers = Vec::new();
        // Answers wait a while before they are taken: their clients may leave meanwhile.
        let are_taken = self.one_in(2);
        self.server.waiting.retain(|waiting| {
            if !are_taken {
                return true;
            }
            let Poll::Ready(answer) = waiting.ticket.poll(Waker::noop()) else { return true };
            answers.push((
                waiting.client,
                waiting.name.clone(),
                waiting.resource,
                waiting.request,
                waiting.number,
                answer,
            ));
            false
        });
        // In the order of the grants, which is not the order in which they were taken.
        answers.sort_by_key(|(.., answer)| match &answer.outcome {
            Outcome::Granted(grant) => grant.fence,
            _ => 0,
        });
        for (client, name, resource, request, number, answer) in answers {
            let reply = match answer.outcome {
                Outcome::Granted(Grant { fence, .. }) => {
                    if number <= self.server.last_granted[resource] {
                        return Err(format!(
                            "place {number} of {} was served out of turn",
                            RESOURCES[resource]
                        ));
                    }
                    self.server.last_granted[resource] = number;
                    Message::Granted { request, fence }
                }
                _ => Message::Refused { request },
            };
            self.reply(client, &name, reply, answer.barrier);
        }
        if self.one_in(3) {
            self.server.writer.step();
        }
        let synced: Vec<_> = self
            .server
            .replies
            .extract_if(.., |(barrier, ..)| barrier.poll(Waker::noop()).is_ready())
            .collect();
        for (_, client, name, reply) in synced {
            self.send(false, client, &name, reply);
        }
        self.nobody_waits_for_nobody()
    }

    /// No request waits for a resource that nobody holds.
    fn nobody_waits_for_nobody(&mut self) -> Result<(), String> {
        let now = self.time();
        for name in RESOURCES {
            let inspect = Inspect { resources: &[name.as_bytes()] };
            let reports = self.server.locks.run(&inspect, now, &mut Effects::default());
            if reports.iter().any(|report| report.waiters > 0 && report.holders.is_empty()) {
                return Err(format!("somebody waits for {name}, which nobody holds"));
            }
        }
        Ok(())
    }

    /// A client gets a message.
    fn hear(&mut self, client: usize, message: Message) -> Result<(), String> {
        match (self.clients[client].state.clone(), message) {
            (
                State::Asking { resource, request, mode, first_sent, .. },
                Message::Granted { request: granted, fence },
            ) if request == granted => {
                let from = if self.fault == Fault::LeasesFromHearing { self.now } else { first_sent };
                let until = from + TTL;
                if until <= self.now {
                    self.leave(client);
                    return Ok(());
                }
                self.check_grant(resource, mode, fence)?;
                self.note("grant");
                self.clients[client].state = State::Holding { resource, mode, fence, until };
            }
            (State::Asking { request, .. }, Message::Refused { request: refused }) if request == refused => {
                self.leave(client);
            }
            (State::Holding { resource, mode, fence, until }, Message::Renewed { fence: renewed, sent })
                if fence == renewed =>
            {
                self.note("renewal");
                let until = until.max(sent + TTL);
                self.clients[client].state = State::Holding { resource, mode, fence, until };
            }
            // An answer to an old request.
            _ => {}
        }
        Ok(())
    }

    /// A client is told that it holds a resource: no other client may hold it, and fences only grow.
    fn check_grant(&mut self, resource: usize, mode: Mode, fence: u64) -> Result<(), String> {
        let name = RESOURCES[resource];
        for other in &self.clients {
            if let State::Holding { resource: held, mode: other_mode, fence: other_fence, until } =
                other.state
                && held == resource
                && until > self.now
                && (mode == Mode::Exclusive || other_mode == Mode::Exclusive)
            {
                return Err(format!(
                    "{name} was granted under {fence} while {} holds it under {other_fence}",
                    other.name.owner
                ));
            }
        }
        let (highest, highest_exclusive) = &mut self.heard[resource];
        let before = if mode == Mode::Exclusive { *highest } else { *highest_exclusive };
        if fence <= before {
            return Err(format!("{name} was granted under {fence} after {before}"));
        }
        *highest = fence.max(*highest);
        if mode == Mode::Exclusive {
            *highest_exclusive = fence;
        }
        Ok(())
    }

    fn run(mut self) -> Result<HashMap<&'static str, u64>, String> {
        for _ in 0..DURATION {
            self.step(true)?;
        }
        // No client asks any more: leases and waits end, and nothing is left.
        for client in 0..CLIENTS {
            self.leave(client);
        }
        for _ in 0..TTL + WAIT + 2 * DELAY_MAX as u64 {
            self.step(false)?;
        }
        for _ in 0..TTL + 1 {
            self.now += 1;
            self.run_server()?;
        }
        let (totals, _) = self.server.locks.counted();
        if totals.resources + totals.owners > 0 {
            return Err(format!("{} resources and {} owners are left", totals.resources, totals.owners));
        }
        Ok(self.seen)
    }
}

fn is_superseded(ticket: &Ticket<Answer>) -> bool {
    let answer = ticket.poll(Waker::noop());
    matches!(answer, Poll::Ready(Answer { outcome: Outcome::Superseded, .. }))
}

fn reading(now: u64, wall: u64) -> Now {
    Now::at(Duration::from_millis(now), Duration::from_millis(wall + now - START))
}

fn play(seed: u64, fault: Fault) -> Result<HashMap<&'static str, u64>, String> {
    Simulation::new(seed, fault).run()
}

#[test]
fn the_promises_hold_whatever_fails() {
    let chosen = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
    let seeds = chosen.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let count = seeds.end - seeds.start;
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for seed in seeds {
        let happened = play(seed, Fault::None).unwrap_or_else(|problem| panic!("{SEED}={seed}: {problem}"));
        happened.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    for what in ["grant", "wait", "retry", "reconnection", "renewal", "death", "crash", "lease run out"] {
        assert!(seen.get(what).is_some_and(|times| *times >= count), "{what} hardly ever happened: {seen:?}");
    }
}

#[test]
fn the_simulation_finds_replies_sent_before_the_sync() {
    assert!((0..SEEDS).any(|seed| play(seed, Fault::RepliesBeforeSync).is_err()));
}

#[test]
fn the_simulation_finds_clients_that_count_their_lease_too_long() {
    assert!((0..SEEDS).any(|seed| play(seed, Fault::LeasesFromHearing).is_err()));
}
