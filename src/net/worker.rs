//! One worker: a thread with an event loop, the connections dealt to it, and its share of expiry.
//!
//! The loop waits for sockets, for wake-ups from other threads and for time, and gives every connection concerned one
//! turn.  A connection does not wait by itself: it says what became of it and is called again.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use tokio_util::sync::CancellationToken;

use super::poll_waker::PollWaker;
use super::tcp::{After, Connection};
use super::tick::Tick;
use super::wakeups::Wakeups;
use crate::allocator::Purge;
use crate::client::SharedClient;
use crate::clock::Now;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::random::{Random, machine_seed};
use crate::session::{Protocol, Scratch, Session};

/// Bytes read at once.  All connections of a worker share one buffer, so that an idle connection has none.
const SCRATCH_LENGTH: usize = 64 * 1024;

/// Sockets that the system tells of at once.
const EVENTS_MAX: usize = 1024;

/// Another thread has a connection for the worker to take over or to wake.  All other tokens are the numbers of connections.
const WAKER: Token = Token(usize::MAX);

/// It is time to look for expired keys.
const TICK: Token = Token(usize::MAX - 1);

/// How often a worker looks for keys whose deadline has passed.  Well under the 100 ms within which their memory
/// is to be given back.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long connections may take to write out what they owe when the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Scratch space and the executor, used by one connection at a time.
pub(super) struct Tools {
    pub(super) executor: Executor,
    pub(super) input: Box<[u8]>,
    pub(super) scratch: Scratch,
    pub(super) shutdown: CancellationToken,
}

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) protocol: Protocol,
    pub(super) shared: Arc<SharedClient>,
    pub(super) authenticated: bool,
}

/// A worker as the listener sees it.
pub struct Worker {
    /// Not bounded by itself: `maxclients` bounds the connections that exist at all.
    arrivals: Sender<Arrival>,
    wakeups: Arc<Wakeups>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts worker number `slot`.  SHUTDOWN cancels `shutdown`; the worker itself goes on until [`Worker::join_all`].
    ///
    /// # Errors
    /// If the thread or what it waits with cannot be made.
    pub fn start(services: Arc<Services>, slot: usize, shutdown: CancellationToken) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let wakeups = Wakeups::new(PollWaker::new(poll.registry(), WAKER)?);
        let tick = Tick::new(poll.registry(), TICK, EXPIRY_INTERVAL)?;
        let (arrivals, arriving) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, waking) = (Arc::clone(&connections), Arc::clone(&wakeups));
        let thread = std::thread::Builder::new().name(format!("worker-{slot}")).spawn(move || {
            let tools = Tools {
                executor: Executor::new(services, slot, Random::with_seed(machine_seed())),
                input: vec![0; SCRATCH_LENGTH].into(),
                scratch: Scratch::default(),
                shutdown,
            };
            let event_loop = EventLoop {
                poll,
                wakeups: waking,
                tick,
                arriving,
                connections: Slab::new(),
                count,
                tools,
                again: Vec::new(),
                pauses: BTreeSet::new(),
                expiry_is_due: false,
                purge: Purge::default(),
                drained_by: None,
            };
            event_loop.run();
        })?;
        Ok(Worker { arrivals, wakeups, connections, thread })
    }

    /// Number of connections it has.
    pub(super) fn load(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Hands it a connection.
    pub(super) fn deal(&self, arrival: Arrival) {
        self.connections.fetch_add(1, Relaxed);
        if let Err(refused) = self.arrivals.send(arrival) {
            // The worker has ended, which happens only while the server stops.
            tracing::debug!(client = refused.0.shared.id, "connection came too late");
        }
        self.wakeups.wake_worker();
    }

    /// Lets all of them end once their connections have, or have taken too long to, and waits for it.
    pub fn join_all(workers: Vec<Worker>) {
        let stop = |worker: Worker| {
            drop(worker.arrivals);
            worker.wakeups.wake_worker();
            worker.thread
        };
        let threads: Vec<JoinHandle<()>> = workers.into_iter().map(stop).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

/// See the module's text.
struct EventLoop {
    poll: Poll,
    wakeups: Arc<Wakeups>,
    tick: Tick,
    arriving: Receiver<Arrival>,
    connections: Slab<Box<Connection>>,
    /// How many there are, for the listener.
    count: Arc<AtomicUsize>,
    tools: Tools,
    /// Those that are due for a turn without anybody waking them.
    again: Vec<usize>,
    /// When those that pause go on, in microseconds.
    pauses: BTreeSet<(u64, usize)>,
    /// Expired keys are to be looked for.
    expiry_is_due: bool,
    /// Memory to be given back.
    purge: Purge,
    /// When the last connections are given up, in microseconds, once nobody is let in any more.
    drained_by: Option<u64>,
}

impl EventLoop {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut due = Vec::new();
        while !self.has_ended() {
            if let Err(error) = self.wait(&mut events) {
                tracing::error!(%error, "a worker cannot wait for its connections any more: stopping");
                self.tools.shutdown.cancel();
                return;
            }
            let mut was_woken = false;
            for event in &events {
                match event.token() {
                    WAKER => was_woken = true,
                    TICK => {
                        self.tick.take();
                        self.expiry_is_due = true;
                        self.purge.follow();
                    }
                    Token(number) => {
                        if let Some(connection) = self.connections.get_mut(number) {
                            connection.note_ready(event);
                        }
                        self.turn(number);
                    }
                }
            }
            due.append(&mut self.again);
            self.wakeups.take(&mut due);
            self.end_pauses(&mut due);
            for number in due.drain(..) {
                self.turn(number);
            }
            if was_woken {
                // Not before: an event may have been meant for a connection whose number is free by now.
                self.welcome_arrivals();
            }
            if self.expiry_is_due {
                self.expire();
            }
        }
        for mut connection in self.connections.drain() {
            connection.close(&mut self.tools.executor);
        }
    }

    fn now(&self) -> Now {
        self.tools.executor.services().clock.now()
    }

    /// Whether there is something to do at once, besides what the list of wake-ups says.
    fn is_busy(&self) -> bool {
        self.expiry_is_due || !self.again.is_empty()
    }

    /// The time in microseconds at which there is something to do of which no event tells.
    fn next_deadline(&self) -> Option<u64> {
        let pause = self.pauses.first().map(|&(until, _)| until);
        pause.into_iter().chain(self.drained_by).min()
    }

    /// Waits until there is something to do.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let may_sleep = self.wakeups.fall_asleep();
        let timeout = if !may_sleep || self.is_busy() {
            Some(Duration::ZERO)
        } else {
            self.next_deadline().map(|at| Duration::from_micros(at.saturating_sub(self.now().micros())))
        };
        let waited = self.poll.poll(events, timeout);
        self.wakeups.get_up();
        match waited {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }

    /// Lets a connection do what it can.
    fn turn(&mut self, number: usize) {
        // It may have ended since it was put on a list; if its number is another's by now, that one has a turn for nothing.
        let Some(connection) = self.connections.get_mut(number) else { return };
        match connection.turn(&mut self.tools) {
            After::Wait => {}
            After::Pause(until) => {
                self.pauses.insert((until, number));
            }
            After::Again => self.again.push(number),
            After::End => {
                let mut connection = self.connections.remove(number);
                connection.close(&mut self.tools.executor);
                self.count.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Moves those whose pause is over into `due`.
    fn end_pauses(&mut self, due: &mut Vec<usize>) {
        if self.pauses.is_empty() {
            return;
        }
        let now = self.now().micros();
        while let Some(&(until, number)) = self.pauses.first()
            && until <= now
        {
            self.pauses.pop_first();
            due.push(number);
        }
    }

    fn welcome_arrivals(&mut self) {
        if self.drained_by.is_some() {
            return;
        }
        loop {
            match self.arriving.try_recv() {
                Ok(arrival) => self.welcome(arrival),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.drained_by = Some(self.now().after(DRAIN_TIME_MAX).micros());
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, arrival: Arrival) {
        let id = arrival.shared.id;
        let mut stream = mio::net::TcpStream::from_std(arrival.stream);
        let entry = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(entry.key()), interest) {
            tracing::warn!(client = id, %error, "cannot serve a connection");
            self.tools.executor.services().clients.disconnect(id);
            self.count.fetch_sub(1, Relaxed);
            return;
        }
        let session = Session::new(arrival.protocol, arrival.shared, arrival.authenticated);
        let waker = self.wakeups.waker(entry.key());
        // Its first turn comes when the socket is told to be writable, which is at once.
        entry.insert(Box::new(Connection::new(stream, session, waker)));
    }

    /// Gives the memory of expired keys back, and of those beyond the memory limit; goes on at once while there is more
    /// to do than one step may take.
    fn expire(&mut self) {
        let removed = self.tools.executor.expire();
        let over_limit = self.tools.executor.evict();
        self.expiry_is_due = removed > 0 || over_limit;
    }

    /// Whether nobody is let in any more and nobody is left, or has been for too long.
    fn has_ended(&self) -> bool {
        let Some(drained_by) = self.drained_by else { return false };
        if !self.connections.is_empty() && self.now().micros() < drained_by {
            return false;
        }
        if !self.connections.is_empty() {
            let connections = self.connections.len();
            tracing::warn!(connections, "ending with connections that did not take their replies");
        }
        true
    }
}
