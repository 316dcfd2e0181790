//! A server that is nothing but its services, and connections of any protocol to it: what its threads do with sockets,
//! done without sockets or threads, on a clock that only the test moves.
//!
//! A connection has its turn only when it was woken, has input, or its client has read, as behind a socket: a wake-up that is
//! missing shows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::BytesMut;
use quartet::clock::{Clock, Now};
use quartet::command::executor::Executor;
use quartet::command::{Flow, Services};
use quartet::delivery::Slowed;
use quartet::random::Random;
use quartet::server;
use quartet::session::{Protocol, Refused, Scratch, Session, Unsent};
use quartet::settings::Settings;

/// When the clock starts: some time after boot, in November 2023.
const BOOT: Duration = Duration::from_secs(1_000);
const WALL: Duration = Duration::from_secs(1_700_000_000);

/// How often the server does what falls due for all its clients.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(500);

/// Ports from which clients seem to come, so that each has an address of its own.
const FIRST_PORT: u16 = 20_000;

/// The server.
pub(crate) struct SimulatedServer {
    pub(crate) services: Arc<Services>,
    threads: Vec<Thread>,
    accepted: usize,
    is_retiring: bool,
}

/// What a thread has for its connections.
struct Thread {
    executor: Executor,
    scratch: Scratch,
}

/// A connection and its client's end of it.
pub(crate) struct SimulatedConnection {
    /// None once it has ended on the server's side.
    session: Option<Session>,
    thread: usize,
    woken: Arc<Woken>,
    /// What the client has written and the server has not read.
    input: BytesMut,
    /// Most bytes that the server reads at a time.
    pub(crate) piece_max: usize,
    unsent: Unsent,
    /// What the socket holds for the client, and how much it takes.
    socket: Vec<u8>,
    pub(crate) socket_room: usize,
    is_ending: bool,
    /// Its input is held back.
    slowed: Option<Slowed>,
    /// Its input waits until a request is answered, which wakes it.
    is_asking: bool,
    /// Bytes that the conversation has received, and the most that were seen to wait for the client at a time.
    received: usize,
    /// Those of them that were not run.
    waiting_input: usize,
    most_waiting: usize,
}

/// Whether a connection was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl SimulatedServer {
    /// A server with these settings and so many threads.
    pub(crate) fn new(settings: Settings, threads: usize) -> SimulatedServer {
        let settings = Settings { threads, dir: None, ..settings };
        SimulatedServer::with_services(server::services(settings, Clock::manual(Now::at(BOOT, WALL)), 1))
    }

    /// One that has these services, whose clock the test moves.
    pub(crate) fn with_services(services: Services) -> SimulatedServer {
        let services = Arc::new(services);
        let threads = services.settings.current().threads;
        services.fan_out.follow_settings(&services.settings.current());
        services.open();
        let thread = |slot| Thread {
            executor: Executor::new(Arc::clone(&services), slot, Random::with_seed(slot as u64)),
            scratch: Scratch::default(),
        };
        let threads = (0..threads).map(thread).collect();
        SimulatedServer { services, threads, accepted: 0, is_retiring: false }
    }

    /// A client connects.  None if the door is closed.
    pub(crate) fn connect(&mut self, protocol: Protocol) -> Option<SimulatedConnection> {
        if self.is_retiring {
            return None;
        }
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let ports = usize::from(u16::MAX - FIRST_PORT);
        let addresses = (address(FIRST_PORT + (self.accepted % ports) as u16), address(4222));
        let settings = self.services.settings.current();
        let is_full = protocol.connections(&self.services.clients) >= protocol.connections_max(&settings);
        let mut connection = SimulatedConnection {
            session: None,
            thread: self.accepted % self.threads.len(),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            input: BytesMut::new(),
            piece_max: usize::MAX,
            unsent: Unsent::default(),
            socket: Vec::new(),
            socket_room: usize::MAX,
            is_ending: false,
            slowed: None,
            is_asking: false,
            received: 0,
            waiting_input: 0,
            most_waiting: 0,
        };
        self.accepted += 1;
        if is_full {
            connection.socket = protocol.refusal(Refused::Full, &self.services, addresses).into();
            return Some(connection);
        }
        let now = self.services.clock.now().millis();
        let client = self.services.clients.connect(protocol.door(), addresses.0, addresses.1, now);
        client.outbox.register(&Waker::from(Arc::clone(&connection.woken)));
        connection.session = Some(Session::new(protocol, client, !protocol.needs_password(&settings)));
        drop(settings);
        Some(connection)
    }

    /// One turn of a connection, if it has something to do; whether it had.
    pub(crate) fn turn(&mut self, connection: &mut SimulatedConnection) -> bool {
        connection.turn(&mut self.threads[connection.thread])
    }

    /// The client has gone without a word.
    pub(crate) fn cut(&mut self, connection: &mut SimulatedConnection) {
        connection.end(&mut self.threads[connection.thread].executor);
    }

    /// Lets time pass, and does what falls due, `settle` after each.
    pub(crate) fn advance(&mut self, duration: Duration, mut settle: impl FnMut(&mut SimulatedServer)) {
        let (mut left, mut until_housekeeping) = (duration, HOUSEKEEPING_INTERVAL);
        while !left.is_zero() {
            let step = left.min(until_housekeeping).min(self.until_alarm());
            self.services.clock.advance(step);
            left -= step;
            until_housekeeping -= step;
            if until_housekeeping.is_zero() || left.is_zero() {
                until_housekeeping = HOUSEKEEPING_INTERVAL;
                self.services.keep_house();
            }
            self.ring();
            settle(self);
        }
    }

    /// Does what has fallen due by now; whether anything had.
    pub(crate) fn ring(&mut self) -> bool {
        let is_due = self.services.alarm.next().is_some_and(|due| due <= self.services.clock.now().millis());
        self.threads.iter_mut().for_each(|thread| thread.executor.advance());
        is_due
    }

    /// How long it is until something falls due; a millisecond if something has.
    fn until_alarm(&self) -> Duration {
        let next = self.services.alarm.next().unwrap_or(u64::MAX);
        Duration::from_millis(next.saturating_sub(self.services.clock.now().millis()).max(1))
    }

    /// Tells the broker's clients that the server ends, and accepts no more of them.
    pub(crate) fn retire(&mut self) {
        self.is_retiring = true;
        quartet::lame_duck::announce(&self.services);
    }
}

impl SimulatedConnection {
    /// The client writes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.session.is_some() {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The client reads up to so many bytes.
    pub(crate) fn read(&mut self, most: usize) -> Vec<u8> {
        let rest = self.socket.split_off(most.min(self.socket.len()));
        std::mem::replace(&mut self.socket, rest)
    }

    /// Bytes of the client's input whose whole operations are done.
    pub(crate) fn received(&self) -> usize {
        self.received - self.waiting_input
    }

    /// Looks at how much waits for the client.
    pub(crate) fn note_waiting(&mut self) {
        let waiting = self.session.as_ref().map_or(0, |session| session.outbox().bytes());
        self.most_waiting = self.most_waiting.max(waiting);
    }

    /// The most that was seen to wait for the client.
    pub(crate) fn most_waiting(&self) -> usize {
        self.most_waiting
    }

    /// Whether it has ended on the server's side.
    pub(crate) fn has_ended(&self) -> bool {
        self.session.is_none()
    }

    /// Whether the server has ended it and the client has read everything.
    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_none() && self.socket.is_empty()
    }

    fn turn(&mut self, thread: &mut Thread) -> bool {
        let Thread { executor, scratch } = thread;
        let Some(session) = &mut self.session else { return false };
        let can_write = !self.unsent.is_empty() && self.socket.len() < self.socket_room;
        let now = executor.services().clock.now();
        let over = self.slowed.take_if(|slowed| slowed.is_over(now));
        let is_woken = self.woken.0.swap(false, Relaxed);
        self.is_asking &= !is_woken;
        let can_run = self.slowed.is_none() && !self.is_asking && session.has_read(self.unsent.len());
        let can_read = (!self.input.is_empty() || session.is_behind()) && can_run;
        if !is_woken && !can_write && !can_read {
            return false;
        }
        if !self.is_ending {
            let flow = session.tend(executor, scratch);
            self.is_ending |= flow != Flow::Continue;
            self.keep(executor, scratch);
        }
        executor.begin_turn();
        if over.is_some_and(|slowed| slowed.has_waited_long(now)) {
            executor.press_on();
        }
        loop {
            let has_more = self.step(executor, scratch);
            if self.slowed.is_none() {
                self.slowed = executor.slowed();
            }
            // While its input is held back, it only writes.
            if !has_more || (self.slowed.is_none() && executor.is_turn_over()) {
                return true;
            }
        }
    }

    /// Writes what may be written, then does one thing more; whether there may be more to do.
    fn step(&mut self, executor: &mut Executor, scratch: &mut Scratch) -> bool {
        let Some(session) = &mut self.session else { return false };
        self.is_ending |= session.outbox().is_ending();
        if self.is_ending {
            session.say_goodbye(self.unsent.messages());
        }
        self.flush(executor);
        let Some(session) = &mut self.session else { return false };
        if session.outbox().is_closing()
            || (self.is_ending && self.unsent.is_empty() && session.outbox().is_empty())
        {
            self.end(executor);
            return false;
        }
        let before = self.unsent.len();
        session.collect(scratch, self.unsent.messages());
        session.outbox().set_unsent(self.unsent.buffer());
        if self.unsent.len() > before {
            return true;
        }
        if self.is_ending || self.slowed.is_some() || !session.has_read(self.unsent.len()) {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        self.is_asking = session.poll_requests(&waker, executor).is_pending();
        if self.is_asking {
            return false;
        }
        let flow = if session.is_behind() {
            session.resume(executor, scratch)
        } else if self.input.is_empty() {
            return false;
        } else {
            let mut piece = self.input.split_to(self.piece_max.min(self.input.len()));
            self.received += piece.len();
            session.receive(&mut piece, executor, scratch)
        };
        self.waiting_input = session.waiting_input();
        self.is_ending |= !matches!(flow, Flow::Continue | Flow::Wait);
        self.keep(executor, scratch);
        self.note_waiting();
        true
    }

    /// Appends output to the bytes that are not written yet.
    fn keep(&mut self, executor: &mut Executor, scratch: &mut Scratch) {
        self.unsent.append(scratch.written(), executor);
        if let Some(session) = &self.session {
            session.outbox().set_unsent(self.unsent.buffer());
        }
    }

    /// Moves to the socket what it takes.
    fn flush(&mut self, executor: &mut Executor) {
        let Some(session) = &mut self.session else { return };
        let room = self.socket_room.saturating_sub(self.socket.len());
        let length = room.min(self.unsent.release(Waker::noop(), executor)).min(self.unsent.len());
        if length == 0 {
            return;
        }
        let mut left = length;
        for part in self.unsent.buffer().parts() {
            let part = &part[..left.min(part.len())];
            self.socket.extend_from_slice(part);
            left -= part.len();
        }
        self.unsent.advance(length);
        session.note_sent(length, self.unsent.is_empty());
        session.outbox().set_unsent(self.unsent.buffer());
    }

    fn end(&mut self, executor: &mut Executor) {
        if let Some(mut session) = self.session.take() {
            self.unsent.withdraw(executor);
            session.close(executor);
            session.outbox().discard();
        }
        self.unsent = Unsent::default();
        self.input.clear();
    }
}
