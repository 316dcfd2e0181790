//! What a connection does when its client publishes more than the disk can take now or requests what takes a while, and when
//! others wait until the client has taken what there is.

use std::net::{TcpListener, TcpStream as ClientStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::{Clock, Now};
use crate::command::Services;
use crate::delivery::{
    AfterBatch, Crowd, Effects, Message, Outbox, SLOWED_TIME, SLOWED_TIME_MAX, Sink, Unfinished,
};
use crate::lock_order::{Mutex, rank};
use crate::random::Random;
use crate::server;
use crate::session::Protocol;
use crate::settings::Settings;

/// Has publishers slow down after each message, and while it is crowded.
#[derive(Default)]
struct Slow(AtomicUsize, Arc<Gate>);

#[derive(Default)]
struct Gate(AtomicBool);

impl Crowd for Gate {
    fn is_crowded(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Sink for Slow {
    fn take(&self, _message: &Message<'_>, effects: &mut Effects) -> bool {
        self.0.fetch_add(1, Relaxed);
        effects.slow_down(Arc::<Gate>::clone(&self.1));
        true
    }
}

/// Sends to the client whenever it has taken everything, so many times.
struct Sender {
    place: Weak<Sender>,
    services: Arc<Services>,
    outbox: Arc<Outbox>,
    left: AtomicUsize,
}

impl AfterBatch for Sender {
    fn run(self: Arc<Sender>, effects: &mut Effects) {
        if self.left.load(Relaxed) > 0 {
            self.left.fetch_sub(1, Relaxed);
            self.services.fan_out.publish(&Message::new(b"own", b"more"), effects);
            effects.hand_over();
            let work: Arc<dyn AfterBatch> = self.place.upgrade().expect("it runs");
            assert!(self.outbox.once_taken(&work));
        }
    }
}

/// A client, and its connection to a server whose clock only the test moves.
struct Place {
    state: ThreadState,
    connection: Connection,
    client: ClientStream,
}

impl Place {
    fn new() -> Place {
        let now = Now::at(Duration::from_secs(1_000), Duration::from_secs(1_700_000_000));
        let settings = Settings { threads: 1, ..Settings::default() };
        let services = Arc::new(server::services(settings, Clock::manual(now), 1));
        services.open();
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let client = ClientStream::connect(address).expect("it listens");
        let (accepted, peer) = listener.accept().expect("the client has connected");
        accepted.set_nonblocking(true).expect("the system can do so");
        let shared = services.clients.connect(Protocol::Broker.door(), peer, address, now.millis());
        let session = Session::new(Protocol::Broker, shared, true);
        let stream = TcpStream::from_std(accepted);
        let connection = Connection::new(stream, Bytes::new(), session, Waker::noop().clone());
        let executor = Executor::new(services, 0, Random::with_seed(1));
        Place { state: ThreadState::new(executor, CancellationToken::new()), connection, client }
    }

    /// The client writes, and the system reports that.
    fn write(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).expect("the connection lasts");
        (self.connection.readable, self.connection.writable) = (true, true);
    }

    /// The client reads as far as `end`.
    fn read_to(&mut self, end: &str) {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            self.client.read_exact(&mut byte).expect("the connection lasts");
            text.push(byte[0]);
        }
    }

    fn micros(&self) -> u64 {
        self.state.executor.services().clock.now().micros()
    }
}

#[test]
fn it_holds_input_back_and_goes_on_after_each_pause_while_it_writes() {
    let mut place = Place::new();
    let slow = Arc::<Slow>::default();
    let sink = Arc::<Slow>::clone(&slow);
    let services = Arc::clone(place.state.executor.services());
    services.fan_out.add_sink(b"k", sink);
    place.write("CONNECT {\"verbose\":false}\r\nSUB own 1\r\nPING\r\n");
    while matches!(place.connection.turn(&mut place.state), NextAction::Again) {}
    place.read_to("PONG\r\n");
    place.write(&"PUB k 1\r\nx\r\n".repeat(5));
    for taken in 1..=5 {
        for _ in 0..3 {
            let until = place.micros() + SLOWED_TIME.as_micros() as u64;
            // It has further turns meanwhile, as when it is woken.
            match place.connection.turn(&mut place.state) {
                NextAction::Pause(time) => assert_eq!(time, until),
                _ => panic!("it pauses after message {taken}"),
            }
            assert_eq!(slow.0.load(Relaxed), taken);
        }
        let mut effects = Effects::default();
        services.fan_out.publish(&Message::new(b"own", b"for you"), &mut effects);
        services.fan_out.deliver(&mut effects);
        assert!(matches!(place.connection.turn(&mut place.state), NextAction::Pause(_)));
        place.read_to("for you\r\n");
        if taken == 5 {
            // What comes now stays in the socket.
            place.write("PING\r\n");
            assert!(matches!(place.connection.turn(&mut place.state), NextAction::Pause(_)));
            assert!(place.connection.readable);
        }
        services.clock.advance(SLOWED_TIME);
    }
    assert!(matches!(place.connection.turn(&mut place.state), NextAction::Wait));
    place.read_to("PONG\r\n");
}

#[test]
fn it_holds_input_back_while_there_is_a_crowd_but_not_for_ever() {
    let mut place = Place::new();
    let gate = Arc::<Gate>::default();
    gate.0.store(true, Relaxed);
    let slow = Arc::new(Slow(AtomicUsize::new(0), Arc::clone(&gate)));
    let services = Arc::clone(place.state.executor.services());
    services.fan_out.add_sink(b"k", Arc::<Slow>::clone(&slow));
    place.write("CONNECT {\"verbose\":false}\r\n");
    place.write(&"PUB k 1\r\nx\r\n".repeat(3));
    let start = place.micros();
    loop {
        match place.connection.turn(&mut place.state) {
            NextAction::Pause(until) => {
                services.clock.advance(Duration::from_micros(until - place.micros()));
            }
            NextAction::Again => {}
            _ => break,
        }
        if slow.0.load(Relaxed) == 3 {
            gate.0.store(false, Relaxed);
        }
    }
    assert_eq!(slow.0.load(Relaxed), 3);
    // Two messages have waited as long as one may, and the last one until there was no crowd.
    let passed = Duration::from_micros(place.micros() - start);
    assert_eq!(passed, 2 * SLOWED_TIME_MAX + SLOWED_TIME);
}

/// Takes requests, which are done when the test says so.
#[derive(Default)]
struct Requested(Arc<Mutex<Vec<Unfinished>, { rank::MAILBOX }>>);

/// A request that has begun.
struct Begun(Arc<Mutex<Vec<Unfinished>, { rank::MAILBOX }>>, Mutex<Option<Unfinished>, { rank::MAILBOX }>);

impl AfterBatch for Begun {
    fn run(self: Arc<Self>, _effects: &mut Effects) {
        let unfinished = self.1.lock().take();
        self.0.lock().extend(unfinished);
    }
}

impl Sink for Requested {
    fn take(&self, _message: &Message<'_>, effects: &mut Effects) -> bool {
        effects.request(|unfinished| Begun(Arc::clone(&self.0), Mutex::new(Some(unfinished))));
        true
    }
}

#[test]
fn what_comes_behind_a_request_waits_for_it_while_messages_go_out() {
    let mut place = Place::new();
    let (requested, taken) = (Requested::default(), Arc::<Slow>::default());
    let unfinished = Arc::clone(&requested.0);
    let services = Arc::clone(place.state.executor.services());
    services.fan_out.add_sink(b"request", Arc::new(requested));
    services.fan_out.add_sink(b"k", Arc::<Slow>::clone(&taken));
    place.write("CONNECT {\"verbose\":false}\r\nSUB own 1\r\nPING\r\n");
    while matches!(place.connection.turn(&mut place.state), NextAction::Again) {}
    place.read_to("PONG\r\n");
    for is_ever_done in [true, false] {
        let before = taken.0.load(Relaxed);
        place.write("PUB request 0\r\n\r\nPUB k 1\r\nx\r\n");
        let until = place.micros() + 5_000_000;
        for _ in 0..2 {
            assert!(matches!(place.connection.turn(&mut place.state), NextAction::Pause(at) if at == until));
            let mut effects = Effects::default();
            services.fan_out.publish(&Message::new(b"own", b"for you"), &mut effects);
            services.fan_out.deliver(&mut effects);
            assert!(matches!(place.connection.turn(&mut place.state), NextAction::Pause(_)));
            place.read_to("for you\r\n");
            // What comes now stays in the socket.
            place.write("PING\r\n");
        }
        assert_eq!(taken.0.load(Relaxed), before);
        match is_ever_done {
            true => {
                let done = std::mem::take(&mut *unfinished.lock());
                drop(done);
            }
            false => services.clock.advance(Duration::from_secs(5)),
        }
        while matches!(place.connection.turn(&mut place.state), NextAction::Again) {}
        assert_eq!(taken.0.load(Relaxed), before + 1);
        services.clock.advance(SLOWED_TIME);
        while matches!(place.connection.turn(&mut place.state), NextAction::Again) {}
        place.read_to("PONG\r\nPONG\r\n");
    }
}

#[test]
fn who_waits_until_a_client_has_taken_everything_goes_on_then_and_when_it_leaves() {
    let mut place = Place::new();
    let services = Arc::clone(place.state.executor.services());
    place.write("CONNECT {\"verbose\":false}\r\nSUB own 1\r\nPING\r\n");
    while matches!(place.connection.turn(&mut place.state), NextAction::Again) {}
    place.read_to("PONG\r\n");
    let outbox = Arc::clone(services.fan_out.channels.find(b"own").each[0].outbox());
    let sender = Arc::new_cyclic(|me: &Weak<Sender>| Sender {
        place: Weak::clone(me),
        services,
        outbox,
        left: AtomicUsize::new(5),
    });
    place.state.executor.go_on(vec![Arc::<Sender>::clone(&sender) as _]);
    assert_eq!(sender.left.load(Relaxed), 4, "the client has taken nothing");
    while !matches!(place.connection.turn(&mut place.state), NextAction::Wait) {}
    for _ in 0..5 {
        place.read_to("more\r\n");
    }
    sender.left.store(2, Relaxed);
    place.state.executor.go_on(vec![Arc::<Sender>::clone(&sender) as _]);
    sender.left.store(0, Relaxed);
    assert_eq!(Arc::strong_count(&sender), 2, "it waits");
    place.connection.close(&mut place.state.executor);
    assert_eq!(Arc::strong_count(&sender), 1, "it went on");
}
