//! Quartet's sessions in this process: bytes in, bytes out, on a clock that moves only when a transcript says so.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use quartet::client::Door;
use quartet::clock::{Clock, Now};
use quartet::command::executor::Executor;
use quartet::command::{Flow, Services};
use quartet::journal::Writer;
use quartet::journal::keeper::Keeper;
use quartet::random::Random;
use quartet::server;
use quartet::session::Unsent;
use quartet::session::resp::Session;
use quartet::settings::Settings;
use quartet_protocol::resp::{Batch, Output};

use super::format::Stop;
use super::target::{Received, take_values};
use crate::support::simulated_disk::{SimulatedDisk, Survival};

/// When the manual clock starts: some days after boot, in November 2023.
const BOOT: Duration = Duration::from_secs(1_000_000);
pub(crate) const WALL: Duration = Duration::from_secs(1_700_000_000);

/// Ports from which clients seem to come, so that each has an address of its own.
const FIRST_PORT: u16 = 40_000;

/// The clients of a server that is nothing but its services.
pub(crate) struct InProcessTarget {
    services: Arc<Services>,
    executor: Executor,
    batch: Batch,
    clients: BTreeMap<char, Connection>,
    next_port: u16,
    kept: Option<Kept>,
}

/// How the server keeps its data.
struct Kept {
    disk: SimulatedDisk,
    keeper: Keeper,
    /// Writes to the disk when clients wait for that and when time passes.
    writer: Writer,
}

struct Connection {
    session: Session,
    unsent: Unsent,
    unread: Vec<u8>,
    ending: bool,
}

impl InProcessTarget {
    /// A new server with default settings and one thread.
    pub(crate) fn new() -> InProcessTarget {
        InProcessTarget::starting_at(WALL)
    }

    /// One whose wall clock begins at this time.
    pub(crate) fn starting_at(wall: Duration) -> InProcessTarget {
        InProcessTarget::with(Settings::default(), wall)
    }

    /// One with these settings, but for one thread and nothing on the disk.
    pub(crate) fn with(settings: Settings, wall: Duration) -> InProcessTarget {
        let settings = Settings { threads: 1, dir: None, ..settings };
        InProcessTarget::open(settings, Now::at(BOOT, wall), None)
    }

    /// One with default settings that keeps its data on a disk of its own.
    pub(crate) fn keeping() -> InProcessTarget {
        let settings = Settings { threads: 1, dir: Some("simulated".into()), ..Settings::default() };
        InProcessTarget::open(settings, Now::at(BOOT, WALL), Some(SimulatedDisk::default()))
    }

    fn open(settings: Settings, now: Now, disk: Option<SimulatedDisk>) -> InProcessTarget {
        let services = Arc::new(server::services(settings, Clock::manual(now), 1));
        let kept = disk.map(|disk| Kept::open(disk, &services));
        let executor = Executor::new(Arc::clone(&services), 0, Random::with_seed(2));
        InProcessTarget {
            services,
            executor,
            batch: Batch::new(),
            clients: BTreeMap::new(),
            next_port: FIRST_PORT,
            kept,
        }
    }

    /// Ends the server and starts another with the same settings, on the same clock and what the disk has.
    pub(crate) fn restart(&mut self, stop: Stop) {
        if stop == Stop::InOrder {
            let clients: Vec<char> = self.clients.keys().copied().collect();
            clients.into_iter().for_each(|client| self.disconnect(client));
        }
        let disk = self.kept.take().map(|kept| kept.end(stop));
        let settings = Settings::clone(&self.services.settings.current());
        *self = InProcessTarget::open(settings, self.services.clock.now(), disk);
    }

    /// Lets the client's session receive the pieces one by one.
    pub(crate) fn send(&mut self, client: char, pieces: &[&[u8]]) {
        self.connect(client);
        for piece in pieces {
            let Some(connection) = self.clients.get_mut(&client).filter(|connection| !connection.ending)
            else {
                break;
            };
            if connection.session.is_blocked() {
                connection.session.put_off(piece, &mut self.executor);
                continue;
            }
            let (mut piece, mut output) = (piece.to_vec(), Output::new());
            let flow =
                connection.session.receive(&mut piece, &mut self.executor, &mut self.batch, &mut output);
            connection.unsent.append(&mut output, &mut self.executor);
            self.go_on(client, flow);
        }
    }

    /// Runs what the session holds back until it waits for others or has nothing left.
    fn go_on(&mut self, client: char, mut flow: Flow) {
        let connection = self.clients.get_mut(&client).expect("it is connected");
        let mut output = Output::new();
        loop {
            self.executor.begin_turn();
            match flow {
                // A client that waits for its reply lives through the pause.
                Flow::Pause(duration) => self.services.clock.advance(duration),
                Flow::Continue if connection.session.is_behind() => {}
                _ => break,
            }
            flow = connection.session.resume(&mut self.executor, &mut self.batch, &mut output);
            connection.unsent.append(&mut output, &mut self.executor);
        }
        connection.ending |= !matches!(flow, Flow::Continue | Flow::Wait);
    }

    /// Lets sessions whose command waited go on if it has its reply; true if one had.
    fn answer_waiting(&mut self) -> bool {
        let mut answered = Vec::new();
        for (&client, connection) in &mut self.clients {
            let (session, mut output) = (&mut connection.session, Output::new());
            if session.is_blocked()
                && session.poll_blocked(Waker::noop(), &mut self.executor, &mut output).is_ready()
            {
                connection.unsent.append(&mut output, &mut self.executor);
                let flow = session.resume(&mut self.executor, &mut self.batch, &mut output);
                connection.unsent.append(&mut output, &mut self.executor);
                answered.push((client, flow));
            }
        }
        let any = !answered.is_empty();
        answered.into_iter().for_each(|(client, flow)| self.go_on(client, flow));
        any
    }

    /// The state that all its threads share.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Does what falls due at once, and lets the clients that wait for it go on.
    pub(crate) fn settle(&mut self) {
        self.executor.advance();
        while self.answer_waiting() {
            self.executor.advance();
        }
        if let Some(kept) = &mut self.kept {
            kept.writer.step();
        }
        self.clients.values_mut().for_each(|connection| connection.send(&mut self.executor));
    }

    /// The replies and messages of all clients since the last call.
    pub(crate) fn receive(&mut self) -> BTreeMap<char, Vec<Received>> {
        self.settle();
        let mut received = BTreeMap::new();
        for (&client, connection) in &mut self.clients {
            connection.ending |= connection.session.shared().outbox.is_ending();
            let mut values = take_values(&mut connection.unread);
            if connection.ending {
                values.push(Received::Closed);
            }
            received.insert(client, values);
        }
        let ended: Vec<char> = self
            .clients
            .iter()
            .filter(|(_, connection)| connection.ending)
            .map(|(&client, _)| client)
            .collect();
        ended.into_iter().for_each(|client| self.disconnect(client));
        received
    }

    /// The bytes that a client has received since it was last asked.
    pub(crate) fn take_bytes(&mut self, client: char) -> Vec<u8> {
        self.settle();
        let Some(connection) = self.clients.get_mut(&client) else { return Vec::new() };
        std::mem::take(&mut connection.unread)
    }

    /// Moves the clock, and has done what falls due as the server's threads do.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.services.clock.advance(duration);
        self.executor.expire();
        self.executor.advance();
        if let Some(kept) = &mut self.kept {
            kept.keeper.tick();
            kept.writer.step();
        }
    }

    /// Ends a client's session.
    pub(crate) fn disconnect(&mut self, client: char) {
        if let Some(mut connection) = self.clients.remove(&client) {
            connection.unsent.withdraw(&mut self.executor);
            connection.session.close(&mut self.executor);
        }
    }

    fn connect(&mut self, client: char) {
        if self.clients.contains_key(&client) {
            return;
        }
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let now = self.services.clock.now().millis();
        let shared = self.services.clients.connect(Door::Resp, address(self.next_port), address(6379), now);
        self.next_port += 1;
        let session = Session::new(shared, !self.services.settings.current().has_password());
        self.clients.insert(
            client,
            Connection { session, unsent: Unsent::default(), unread: Vec::new(), ending: false },
        );
    }
}

impl Kept {
    /// Gives the services back what the disk has of them.
    fn open(disk: SimulatedDisk, services: &Arc<Services>) -> Kept {
        let rows = services.rows.iter().filter_map(|service| service.persistence.as_ref());
        let persistent = rows.map(|persistence| (persistence.persistent)(services)).collect();
        let (place, now) = (Arc::new(disk.clone()), services.clock.now());
        let opened = Keeper::open_on(&services.journal, place, Vec::new(), persistent, now);
        let (keeper, writer) = opened.unwrap_or_else(|error| panic!("the server does not start: {error}"));
        services.open();
        Kept { disk, keeper, writer }
    }

    /// The disk that the next server finds.
    fn end(self, stop: Stop) -> SimulatedDisk {
        let Kept { disk, keeper, mut writer } = self;
        match stop {
            Stop::PowerLost => disk.after_power_loss(Survival::Nothing, &mut Random::with_seed(1)),
            Stop::InOrder => {
                // A snapshot waits for the writer, which has no thread of its own here.
                let closing = std::thread::spawn(|| keeper.close());
                while !closing.is_finished() {
                    writer.step();
                    std::thread::yield_now();
                }
                closing.join().expect("the keeper does not panic");
                writer.finish();
                disk
            }
        }
    }
}

impl Connection {
    /// Moves to the client what may be sent: replies that wait for the disk stay, and so do those behind them.
    fn send(&mut self, executor: &mut Executor) {
        self.session.shared().outbox.drain_into(self.unsent.messages());
        let allowed = self.unsent.release(Waker::noop(), executor).min(self.unsent.len());
        let bytes = self.unsent.buffer().parts().flatten().copied();
        self.unread.extend(bytes.take(allowed));
        self.unsent.advance(allowed);
    }
}
