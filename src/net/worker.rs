//! One worker: a thread with an event loop, the connections dealt to it, and its share of expiry.
//!
//! The loop waits for sockets, for wake-ups from other threads and for time, and gives every connection that is
//! concerned one turn.  A connection never waits by itself: it returns what the worker has to do next and is called again.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use tokio_util::sync::CancellationToken;

use super::dealer::{Accepted, Hand, Handed};
use super::poll_waker::PollWaker;
use super::round::Round;
use super::tcp::{Connection, NextAction};
use super::thread_state::ThreadState;
use super::tick::Tick;
use super::wakeups::Wakeups;
use crate::allocator::Purge;
use crate::clock::Now;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::random::{Random, machine_seed};
use crate::session::Session;

/// Sockets that the system reports at once.
const EVENTS_MAX: usize = 1024;

/// Another thread has a connection for the worker to take over or to wake.  All other tokens are the numbers of connections.
const WAKER: Token = Token(usize::MAX);

/// It is time to look for expired keys.
const TICK: Token = Token(usize::MAX - 1);

/// The disk has more of what services wait for.  It is on the list of wake-ups like the number of a connection.
const SETTLE: usize = usize::MAX - 2;

/// How often a worker looks for keys whose deadline has passed.  Well under the 100 ms within which their memory
/// is to be given back.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long connections may take to write their last replies when the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// A worker as the server sees it.
pub struct Worker {
    hand: Hand,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts worker number `slot`.  SHUTDOWN cancels `shutdown`; the worker itself goes on until [`Worker::join_all`].
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(services: Arc<Services>, slot: usize, shutdown: CancellationToken) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let wakeups = Wakeups::new(PollWaker::new(poll.registry(), WAKER)?);
        let tick = Tick::new(poll.registry(), TICK, EXPIRY_INTERVAL)?;
        let (handing, handed) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, waking) = (Arc::clone(&connections), Arc::clone(&wakeups));
        let thread = std::thread::Builder::new().name(format!("worker-{slot}")).spawn(move || {
            services.streams.add_settler(waking.waker(SETTLE));
            let streams = Arc::clone(&services.streams);
            let executor = Executor::new(services, slot, Random::with_seed(machine_seed()));
            let event_loop = EventLoop {
                poll,
                wakeups: waking,
                tick,
                handed,
                connections: Slab::new(),
                count,
                state: ThreadState::new(executor, shutdown),
                next_round: Round::default(),
                pauses: BTreeSet::new(),
                expiry_is_due: false,
                purge: Purge::default(),
                drained_by: None,
            };
            event_loop.run();
            streams.remove_settler();
        })?;
        Ok(Worker { hand: Hand::new(handing, wakeups, connections), thread })
    }

    /// The way to it.
    pub(super) fn hand(&self) -> &Hand {
        &self.hand
    }

    /// Tells all workers to end once their connections have ended, waits for that, and cuts off connections that take too
    /// long.
    pub fn join_all(workers: Vec<Worker>) {
        let stop = |worker: Worker| {
            worker.hand.finish();
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
    handed: Receiver<Handed>,
    connections: Slab<Box<Connection>>,
    /// The number of connections, for the listener.
    count: Arc<AtomicUsize>,
    state: ThreadState,
    next_round: Round,
    /// When paused connections go on, in microseconds, and their numbers.
    pauses: BTreeSet<(u64, usize)>,
    /// It is time to look for expired keys.
    expiry_is_due: bool,
    /// Memory that is to be given back.
    purge: Purge,
    /// When the last connections are cut off, in microseconds; set once no more connections come.
    drained_by: Option<u64>,
}

impl EventLoop {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let (mut round, mut woken) = (Vec::new(), Vec::new());
        while !self.has_ended() {
            if let Err(error) = self.wait(&mut events) {
                tracing::error!(%error, "a worker cannot wait for its connections any more: stopping");
                self.state.shutdown.cancel();
                return;
            }
            let mut was_woken = false;
            for event in &events {
                match event.token() {
                    WAKER => was_woken = true,
                    TICK => {
                        self.tick.take();
                        self.expiry_is_due = true;
                        self.state.executor.forget_ended();
                        self.purge.follow();
                    }
                    Token(number) => {
                        if let Some(connection) = self.connections.get_mut(number) {
                            connection.note_ready(event);
                        }
                        self.next_round.add(number);
                    }
                }
            }
            self.end_pauses();
            self.next_round.begin(&mut round);
            for number in round.drain(..) {
                self.turn(number);
            }
            // Messages of these turns go out at once, except to a connection that has another turn anyway.
            self.wakeups.take(&mut woken);
            for number in woken.drain(..) {
                if number == SETTLE {
                    self.state.executor.settle();
                } else if !self.next_round.has(number) {
                    self.turn(number);
                }
            }
            if was_woken {
                // Not earlier: an event may be meant for a connection whose number has become free.
                self.take_over_accepted();
            }
            if self.expiry_is_due {
                self.expire();
            }
        }
        for mut connection in self.connections.drain() {
            connection.close(&mut self.state.executor);
        }
    }

    fn now(&self) -> Now {
        self.state.executor.services().clock.now()
    }

    /// Whether there is something to do at once, besides the list of wake-ups.
    fn is_busy(&self) -> bool {
        self.expiry_is_due || !self.next_round.is_empty()
    }

    /// The next time, in microseconds, at which there is something to do that no event reports.
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

    /// Gives a connection its turn.
    fn turn(&mut self, number: usize) {
        // The connection may have ended since it was listed.  If another has its number by now, that one has a turn for nothing.
        let Some(connection) = self.connections.get_mut(number) else { return };
        match connection.turn(&mut self.state) {
            NextAction::Wait => {}
            NextAction::Pause(until) => {
                self.pauses.insert((until, number));
            }
            NextAction::Again => self.next_round.add(number),
            NextAction::End => {
                let mut connection = self.connections.remove(number);
                connection.close(&mut self.state.executor);
                self.count.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Makes connections due whose pause is over.
    fn end_pauses(&mut self) {
        if self.pauses.is_empty() {
            return;
        }
        let now = self.now().micros();
        while let Some(&(until, number)) = self.pauses.first()
            && until <= now
        {
            self.pauses.pop_first();
            self.next_round.add(number);
        }
    }

    fn take_over_accepted(&mut self) {
        if self.drained_by.is_some() {
            return;
        }
        loop {
            match self.handed.try_recv() {
                Ok(Handed::Connection(accepted)) => self.take_over(accepted),
                Err(TryRecvError::Empty) => return,
                Ok(Handed::Last) | Err(TryRecvError::Disconnected) => {
                    self.drained_by = Some(self.now().after(DRAIN_TIME_MAX).micros());
                    return;
                }
            }
        }
    }

    fn take_over(&mut self, accepted: Accepted) {
        let id = accepted.shared.id;
        let mut stream = mio::net::TcpStream::from_std(accepted.stream);
        let entry = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(entry.key()), interest) {
            tracing::warn!(client = id, %error, "cannot serve a connection");
            let services = self.state.executor.services();
            services.clients.disconnect(id, services.clock.now().millis());
            self.count.fetch_sub(1, Relaxed);
            return;
        }
        let session = Session::new(accepted.protocol, accepted.shared, accepted.authenticated);
        let waker = self.wakeups.waker(entry.key());
        // The first turn comes when the socket is reported writable, which is at once.
        entry.insert(Box::new(Connection::new(stream, accepted.input, session, waker)));
    }

    /// Removes expired keys, and keys beyond the memory limit.  It goes on at once while there is more to do than one step
    /// may take.
    fn expire(&mut self) {
        let removed = self.state.executor.expire();
        let over_limit = self.state.executor.evict();
        self.expiry_is_due = removed > 0 || over_limit;
    }

    /// Whether no more connections come and the last has ended or has taken too long.
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
