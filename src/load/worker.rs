//! One thread of a run: an event loop over its connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::clock::Clock;
use crate::random::Random;

use super::connection::{Connection, Outgoing, Received};
use super::pacing::Pace;
use super::processor;
use super::tally::Tally;
use super::timer::Timer;
use super::traffic::{Stage, Traffic};

/// Bytes that are read at once.
const READ_LENGTH: usize = 256 * 1024;

/// How often a thread that nothing wakes looks whether the run is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What the threads of a run share.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// Operations that have ended, of all threads.
    pub(super) operations: AtomicU64,
    /// Set once a thread has failed, so that the others end.
    pub(super) is_given_up: AtomicBool,
}

/// A thread's part in a run.
pub(super) struct Worker<'w> {
    /// What the connections say.
    pub(super) traffic: Box<dyn Traffic>,
    pub(super) connections: Vec<Connection>,
    pub(super) pace: Pace,
    pub(super) random: Random,
    pub(super) clock: &'w Clock,
    pub(super) common: &'w Common,
    /// After so many microseconds without a byte from the server the run ends.
    pub(super) patience: u64,
}

/// What a thread has counted.
pub(super) struct Done {
    pub(super) tally: Tally,
    /// When the server last said something, in microseconds.
    pub(super) ended: u64,
    /// Nanoseconds of processor time that the thread took.
    pub(super) processor_nanos: u64,
}

impl Worker<'_> {
    /// Runs until everything is answered.
    ///
    /// # Errors
    /// What the server, or this machine, did wrong.
    pub(super) fn run(self) -> Result<Done, String> {
        let common = self.common;
        let done = Loop::new(self).and_then(Loop::run);
        if done.is_err() {
            common.is_given_up.store(true, Relaxed);
        }
        done
    }
}

/// The state of the event loop.
struct Loop<'w> {
    worker: Worker<'w>,
    poll: Poll,
    timer: Timer,
    outputs: Vec<Outgoing>,
    tally: Tally,
    now: u64,
    /// When the server last said something, or owed nothing.
    heard: u64,
    /// When it last said something.
    ended: u64,
    /// How many operations the others know of.
    told: u64,
}

fn broken(error: std::io::Error) -> String {
    format!("the event loop failed: {error}")
}

impl<'w> Loop<'w> {
    fn new(mut worker: Worker<'w>) -> Result<Loop<'w>, String> {
        let poll = Poll::new().map_err(broken)?;
        for (number, connection) in worker.connections.iter_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut connection.stream, Token(number), interest).map_err(broken)?;
        }
        let timer = Timer::new(poll.registry(), Token(worker.connections.len())).map_err(broken)?;
        let outputs = worker.connections.iter().map(|_| Outgoing::default()).collect();
        let now = worker.clock.now().micros();
        Ok(Loop { worker, poll, timer, outputs, tally: Tally::new(), now, heard: now, ended: now, told: 0 })
    }

    fn run(mut self) -> Result<Done, String> {
        let processor_before = processor::nanos_of_thread();
        let mut events = Events::with_capacity(self.outputs.len() + 1);
        let mut buffer = vec![0; READ_LENGTH];
        loop {
            self.now = self.worker.clock.now().micros();
            self.with_stage(|traffic, stage| traffic.begin(stage));
            for number in 0..self.outputs.len() {
                self.send(number)?;
            }
            if self.is_done() {
                break;
            }
            self.check_patience()?;
            self.wait(&mut events)?;
            for event in &events {
                let number = event.token().0;
                if number == self.outputs.len() {
                    // The timer: what is due begins above.
                    continue;
                }
                if event.is_writable() {
                    self.outputs[number].has_room();
                }
                if event.is_readable() {
                    self.receive(number, &mut buffer)?;
                }
                self.send(number)?;
            }
            self.tell();
        }
        let missed: Vec<u64> = self.worker.pace.missed().collect();
        missed.into_iter().for_each(|waited| self.tally.missed(waited));
        let processor_nanos = processor::nanos_of_thread().saturating_sub(processor_before);
        Ok(Done { tally: self.tally, ended: self.ended, processor_nanos })
    }

    fn with_stage<T>(&mut self, act: impl FnOnce(&mut dyn Traffic, &mut Stage<'_>) -> T) -> T {
        let Worker { traffic, pace, random, .. } = &mut self.worker;
        let mut stage =
            Stage { now: self.now, outputs: &mut self.outputs, random, tally: &mut self.tally, pace };
        act(traffic.as_mut(), &mut stage)
    }

    fn is_done(&mut self) -> bool {
        if self.worker.common.is_given_up.load(Relaxed) {
            return true;
        }
        let is_over = self.with_stage(|traffic, stage| traffic.is_over(stage));
        is_over && self.worker.traffic.is_settled()
    }

    fn check_patience(&mut self) -> Result<(), String> {
        if self.worker.traffic.is_settled() {
            self.heard = self.now;
        }
        if self.now.saturating_sub(self.heard) < self.worker.patience {
            return Ok(());
        }
        let seconds = self.worker.patience as f64 / 1e6;
        let missing = self.worker.traffic.missing();
        Err(format!("it has said nothing for {seconds} seconds (--timeout), and {missing}"))
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), String> {
        let wake_at = [self.worker.traffic.wake_at(), self.worker.pace.next_at(self.now)];
        let wake_at = wake_at.into_iter().flatten().min();
        // A schedule that is behind waits for room, which comes with an answer.
        if let Some(at) = wake_at.filter(|at| *at > self.now) {
            self.timer.set(at, self.now).map_err(broken)?;
        }
        match self.poll.poll(events, Some(LOOK_INTERVAL)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(broken(error)),
            _ => Ok(()),
        }
    }

    #[inline]
    fn send(&mut self, number: usize) -> Result<(), String> {
        let stream = &mut self.worker.connections[number].stream;
        self.outputs[number].send(stream).map_err(|error| format!("it broke a connection off: {error}"))
    }

    fn receive(&mut self, number: usize, buffer: &mut [u8]) -> Result<(), String> {
        loop {
            let received = self.worker.connections[number]
                .read(buffer)
                .map_err(|error| format!("it broke a connection off: {error}"))?;
            let length = match received {
                Received::Bytes(length) => length,
                Received::Nothing => return Ok(()),
                Received::Closed => {
                    let missing = self.worker.traffic.missing();
                    return Err(format!("it closed a connection, and {missing}"));
                }
            };
            self.now = self.worker.clock.now().micros();
            (self.heard, self.ended) = (self.now, self.now);
            let Worker { traffic, pace, random, connections, .. } = &mut self.worker;
            let mut stage =
                Stage { now: self.now, outputs: &mut self.outputs, random, tally: &mut self.tally, pace };
            connections[number]
                .take_in(&buffer[..length], |input| traffic.receive(number, input, &mut stage))?;
            self.fail_at_once()?;
            // A short read has emptied the socket; what comes later is another event.
            if length < buffer.len() {
                return Ok(());
            }
            self.send(number)?;
        }
    }

    /// Ends a run that is nothing but errors, instead of counting them.
    fn fail_at_once(&self) -> Result<(), String> {
        match &self.tally.first_error {
            Some(error) if self.tally.errors == self.tally.operations => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Tells the others how far it is.
    fn tell(&mut self) {
        let new = self.tally.operations - self.told;
        if new > 0 {
            self.worker.common.operations.fetch_add(new, Relaxed);
            self.told = self.tally.operations;
        }
    }
}
