//! The loop of a worker: its sockets and connections, apart from the thread that serves them.
//!
//! The loop waits for sockets, for wake-ups from other threads and for time, and gives every connection that is
//! concerned one turn.  A connection never waits by itself: it returns what the loop has to do next and is called again.
//!
//! While a connection has its turn the loop lies where another thread may take it over (`berth`): a turn that lasts long
//! keeps its own connection and this thread's state, and nothing else.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::berth::Place;
use super::dealer::{Accepted, Hand, Handed};
use super::poll_waker::PollWaker;
use super::round::Round;
use super::tcp::{Connection, NextAction};
use super::thread_state::ThreadState;
use super::tick::Tick;
use super::wakeups::Wakeups;
use crate::clock::Now;
use crate::command::Services;
use crate::session::Session;
use crate::stand_in;
use crate::stream::Streams;

/// Sockets that the system reports at once.
const EVENTS_MAX: usize = 1024;

/// What the system reports of sockets.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

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
pub(super) const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// See the module's text.
pub(super) struct EventLoop {
    services: Arc<Services>,
    poll: Poll,
    wakeups: Arc<Wakeups>,
    tick: Tick,
    handed: Receiver<Handed>,
    /// None while a connection has its turn.
    connections: Slab<Option<Box<Connection>>>,
    /// The number of connections, for the listener.
    count: Arc<AtomicUsize>,
    next_round: Round,
    /// The connections that have turns in this round, the first one last.
    round: Vec<usize>,
    /// Those that have turns in it because others have woken them, likewise.
    woken: Vec<usize>,
    /// Another thread has handed a connection over.
    is_handed: bool,
    /// When paused connections go on, in microseconds, and their numbers.
    pauses: BTreeSet<(u64, usize)>,
    /// It is time to look for expired keys.
    expiry_is_due: bool,
    /// When the last connections are cut off, in microseconds; set once no more connections come.
    drained_by: Option<u64>,
}

/// Why a thread serves a loop no longer.
pub(super) enum Left {
    /// The worker has ended.
    Ended,
    /// Another thread serves it.
    HandedOver,
}

/// Another thread serves the loop.
struct HandedOver;

/// This thread settles streams.
struct Settles(Arc<Streams>);

impl Drop for Settles {
    fn drop(&mut self) {
        self.0.remove_settler();
    }
}

impl EventLoop {
    /// The loop of a worker without connections, which are handed to it by `hand`.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub(super) fn new(services: Arc<Services>) -> io::Result<(Box<EventLoop>, Hand)> {
        let poll = Poll::new()?;
        let wakeups = Wakeups::new(PollWaker::new(poll.registry(), WAKER)?);
        let tick = Tick::new(poll.registry(), TICK, EXPIRY_INTERVAL)?;
        let (handing, handed) = channel();
        let count = Arc::new(AtomicUsize::new(0));
        let hand = Hand::new(handing, Arc::clone(&wakeups), Arc::clone(&count));
        let event_loop = EventLoop {
            services,
            poll,
            wakeups,
            tick,
            handed,
            connections: Slab::new(),
            count,
            next_round: Round::default(),
            round: Vec::new(),
            woken: Vec::new(),
            is_handed: false,
            pauses: BTreeSet::new(),
            expiry_is_due: false,
            drained_by: None,
        };
        Ok((Box::new(event_loop), hand))
    }

    /// Serves the connections with the state of this thread, until the worker ends or another thread has taken the loop over from
    /// `place`.  Then the last turn's connection goes back through `hand`.
    pub(super) fn run(mut self: Box<Self>, state: &mut ThreadState, hand: &Hand, place: &Place) -> Left {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let streams = Arc::clone(&self.services.streams);
        streams.add_settler(self.wakeups.waker(SETTLE));
        let _settles = Settles(streams);
        self.resume();
        while !self.has_ended() {
            if let Err(error) = self.wait(&mut events) {
                tracing::error!(%error, "a worker cannot wait for its connections any more: stopping");
                state.shutdown.cancel();
                return Left::Ended;
            }
            self.note_events(&events, state);
            match self.serve(state, hand, place) {
                Ok(this) => self = this,
                Err(HandedOver) => return Left::HandedOver,
            }
        }
        for mut connection in self.connections.drain().flatten() {
            connection.close(&mut state.executor);
        }
        Left::Ended
    }

    /// Gives those their turns next that the thread before has not come to.
    fn resume(&mut self) {
        for number in self.round.drain(..).rev().chain(self.woken.drain(..).rev()) {
            match number {
                SETTLE => self.wakeups.waker(SETTLE).wake(),
                number => self.next_round.add(number),
            }
        }
    }

    fn note_events(&mut self, events: &Events, state: &mut ThreadState) {
        for event in events {
            match event.token() {
                WAKER => self.is_handed = true,
                TICK => {
                    self.tick.take();
                    self.expiry_is_due = true;
                    state.executor.forget_ended();
                }
                Token(number) => {
                    if let Some(Some(connection)) = self.connections.get_mut(number) {
                        connection.note_ready(event);
                    }
                    self.next_round.add(number);
                }
            }
        }
    }

    /// Gives all connections that are due their turns, and does what else is due.
    fn serve(
        mut self: Box<Self>,
        state: &mut ThreadState,
        hand: &Hand,
        place: &Place,
    ) -> Result<Box<Self>, HandedOver> {
        self.end_pauses();
        self.next_round.begin(&mut self.round);
        self.round.reverse();
        while let Some(number) = self.round.pop() {
            self = self.turn(number, state, hand, place)?;
        }
        // Messages of these turns go out at once, except to a connection that has another turn anyway.
        self.wakeups.take(&mut self.woken);
        self.woken.reverse();
        while let Some(number) = self.woken.pop() {
            if number == SETTLE {
                state.executor.settle();
            } else if !self.next_round.has(number) {
                self = self.turn(number, state, hand, place)?;
            }
        }
        if std::mem::take(&mut self.is_handed) {
            // Not earlier: an event may be meant for a connection whose number has become free.
            self.take_over_handed(state);
        }
        if self.expiry_is_due { self.expire(state, place) } else { Ok(self) }
    }

    fn now(&self) -> Now {
        self.services.clock.now()
    }

    /// Whether there is something to do at once, besides the list of wake-ups.
    fn is_busy(&self) -> bool {
        self.is_handed || self.expiry_is_due || !self.next_round.is_empty()
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
    fn turn(
        mut self: Box<Self>,
        number: usize,
        state: &mut ThreadState,
        hand: &Hand,
        place: &Place,
    ) -> Result<Box<Self>, HandedOver> {
        // The connection may have ended since it was listed.  If another has its number by now, that one has a turn for nothing.
        let Some(mut connection) = self.connections.get_mut(number).and_then(Option::take) else {
            return Ok(self);
        };
        place.leave(self);
        let next = connection.turn(state);
        // Before anybody else is told that it has let go of something.
        state.executor.take_looks();
        match place.take() {
            Some(mut this) => {
                this.end_turn(number, connection, next, state);
                Ok(this)
            }
            None => {
                hand.give_back(number, connection, next);
                Err(HandedOver)
            }
        }
    }

    /// Takes a connection back that has had its turn.
    fn end_turn(
        &mut self,
        number: usize,
        mut connection: Box<Connection>,
        next: NextAction,
        state: &mut ThreadState,
    ) {
        match next {
            NextAction::Wait => {}
            NextAction::Pause(until) => {
                self.pauses.insert((until, number));
            }
            NextAction::Again => self.next_round.add(number),
            NextAction::End => {
                self.connections.remove(number);
                connection.close(&mut state.executor);
                self.count.fetch_sub(1, Relaxed);
                return;
            }
        }
        if let Some(place) = self.connections.get_mut(number) {
            *place = Some(connection);
        }
    }

    /// Takes a connection back whose turn another thread has ended: what the system has reported meanwhile is asked for again.
    fn take_back(
        &mut self,
        number: usize,
        mut connection: Box<Connection>,
        next: NextAction,
        state: &mut ThreadState,
    ) {
        let registered = connection.register_again(self.poll.registry(), Token(number), INTEREST);
        if let Err(error) = &registered {
            tracing::warn!(%error, "a connection is lost after a long turn");
        }
        let next = if registered.is_err() { NextAction::End } else { next };
        self.end_turn(number, connection, next, state);
        if self.connections.contains(number) {
            self.next_round.add(number);
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

    fn take_over_handed(&mut self, state: &mut ThreadState) {
        loop {
            match self.handed.try_recv() {
                Ok(Handed::Connection(accepted)) if self.drained_by.is_none() => self.take_over(accepted),
                Ok(Handed::Back(number, connection, next)) => self.take_back(number, connection, next, state),
                Ok(Handed::Connection(_)) => {}
                Ok(Handed::Last) => {
                    self.drained_by = Some(self.now().after(DRAIN_TIME_MAX).micros());
                }
                Err(_) => return,
            }
        }
    }

    fn take_over(&mut self, accepted: Accepted) {
        let id = accepted.shared.id;
        let mut stream = mio::net::TcpStream::from_std(accepted.stream);
        let entry = self.connections.vacant_entry();
        if let Err(error) = self.poll.registry().register(&mut stream, Token(entry.key()), INTEREST) {
            tracing::warn!(client = id, %error, "cannot serve a connection");
            let services = &self.services;
            services.clients.disconnect(id, services.clock.now().millis());
            self.count.fetch_sub(1, Relaxed);
            return;
        }
        let session = Session::new(accepted.protocol, accepted.shared, accepted.authenticated);
        let waker = self.wakeups.waker(entry.key());
        // The first turn comes when the socket is reported writable, which is at once.
        entry.insert(Some(Box::new(Connection::new(stream, accepted.input, session, waker))));
    }

    /// Does work that was put off, and removes expired keys and keys beyond the memory limit.  That goes on at once while there is
    /// more to do than one step may take.  No client waits for it longer than for another one's turn, and none for memory that is to be given back: if another
    /// thread is free, that one has the loop from here on.
    fn expire(self: Box<Self>, state: &mut ThreadState, place: &Place) -> Result<Box<Self>, HandedOver> {
        place.leave(self);
        state.executor.end_postponed();
        let removed = state.executor.expire();
        let over_limit = state.executor.evict();
        if state.purge.is_due() {
            stand_in::call();
        }
        let mut this = place.take().ok_or(HandedOver)?;
        this.expiry_is_due = removed > 0 || over_limit;
        Ok(this)
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
