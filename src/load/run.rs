//! One run: the connections are opened, shared out over the threads, and what these count is added up.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::random::Random;

use super::connection::Connection;
use super::pacing::{Bound, Pace};
use super::plan::{Plan, Share};
use super::processor::ServerProcess;
use super::tally::Tally;
use super::target::Target;
use super::worker::{Common, Done, Worker};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How a run is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) bound: Bound,
    /// Operations a second in an open loop.
    pub(super) rate: Option<f64>,
    pub(super) threads: usize,
    pub(super) seed: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Operations until now.
    pub(super) operations: u64,
    /// Those since the last time.
    pub(super) new: u64,
    /// Seconds since the last time.
    pub(super) seconds: f64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) seconds: f64,
    /// Nanoseconds of processor time of this program's threads.
    pub(super) own_nanos: u64,
    /// The same of the server, if it is on this machine and can be seen.
    pub(super) server_nanos: Option<u64>,
}

/// Does a run, from making the server ready to cleaning up.
///
/// # Errors
/// If the server does not do its part.
pub(super) fn run(
    target: &Target,
    plan: &dyn Plan,
    terms: Terms,
    tell: &mut dyn FnMut(Progress),
) -> Result<Outcome, String> {
    plan.prepare(target)?;
    let outcome = drive(target, plan, terms, tell);
    let cleaned = plan.clean_up(target);
    let outcome = outcome?;
    cleaned.map(|()| outcome)
}

/// Does what lies between.
///
/// # Errors
/// As [`run`].
pub(super) fn drive(
    target: &Target,
    plan: &dyn Plan,
    terms: Terms,
    tell: &mut dyn FnMut(Progress),
) -> Result<Outcome, String> {
    let mut connections = Vec::with_capacity(plan.connections());
    for number in 0..plan.connections() {
        let stream = target.connect(&plan.greeting(number))?.into_stream();
        connections.push(Connection::new(stream).map_err(|error| target.fault(&error.to_string()))?);
    }
    let process = if target.is_local() { ServerProcess::listening_at(target.address) } else { None };
    let nanos_before = process.as_ref().and_then(ServerProcess::nanos);
    let began = target.clock.now().micros();
    let done = on_threads(target, plan, terms, connections, began, tell).map_err(|why| target.fault(&why))?;
    let nanos_after = process.as_ref().and_then(ServerProcess::nanos);
    let (mut tally, mut ended, mut own_nanos) = (Tally::new(), began, 0);
    for part in done {
        tally.add(part.tally);
        ended = ended.max(part.ended);
        own_nanos += part.processor_nanos;
    }
    Ok(Outcome {
        tally,
        // At least a microsecond, so that rates are numbers.
        seconds: ended.saturating_sub(began).max(1) as f64 / 1e6,
        own_nanos,
        server_nanos: nanos_before.zip(nanos_after).map(|(before, after)| after.saturating_sub(before)),
    })
}

/// Shares the groups of connections out, the first threads getting one more if they do not come out even.
fn shares(plan: &dyn Plan, threads: usize) -> Vec<Share> {
    let groups = plan.connections() / plan.group();
    let threads = threads.min(groups).max(1);
    let mut first = 0;
    (0..threads)
        .map(|thread| {
            let count = (groups / threads + usize::from(thread < groups % threads)) * plan.group();
            let share = Share { thread, threads, first, count };
            first += count;
            share
        })
        .collect()
}

fn on_threads(
    target: &Target,
    plan: &dyn Plan,
    terms: Terms,
    connections: Vec<Connection>,
    began: u64,
    tell: &mut dyn FnMut(Progress),
) -> Result<Vec<Done>, String> {
    let common = Common::default();
    let mut connections = connections.into_iter();
    std::thread::scope(|scope| {
        let (send, receive) = channel();
        let shares = shares(plan, terms.threads);
        let count = shares.len();
        for share in shares {
            let (send, common) = (send.clone(), &common);
            let connections: Vec<Connection> = connections.by_ref().take(share.count).collect();
            let pace = Pace::new(terms.bound, terms.rate, began, share.thread, share.threads);
            let random = Random::with_seed(terms.seed.wrapping_add(share.thread as u64));
            let patience = target.patience.as_micros() as u64 + plan.silence();
            scope.spawn(move || {
                let traffic = plan.traffic(share);
                let clock = &target.clock;
                let worker = Worker { traffic, connections, pace, random, clock, common, patience };
                // The receiver waits for all threads.
                let _ = send.send(worker.run());
            });
        }
        drop(send);
        let mut watch = Watch { target, common: &common, told: 0, at: began };
        let mut done = Vec::with_capacity(count);
        loop {
            match receive.recv_timeout(PROGRESS_INTERVAL) {
                Ok(part) => done.push(part),
                Err(RecvTimeoutError::Timeout) => tell(watch.look()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if done.len() < count {
            return Err("a thread of this program has failed".to_owned());
        }
        done.into_iter().collect()
    })
}

/// Looks how far the threads are.
struct Watch<'w> {
    target: &'w Target,
    common: &'w Common,
    told: u64,
    at: u64,
}

impl Watch<'_> {
    fn look(&mut self) -> Progress {
        let now = self.target.clock.now().micros();
        let operations = self.common.operations.load(Relaxed);
        let seconds = now.saturating_sub(self.at).max(1) as f64 / 1e6;
        let progress = Progress { operations, new: operations - self.told, seconds };
        (self.told, self.at) = (operations, now);
        progress
    }
}
