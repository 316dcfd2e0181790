//! Reports about locks, waiters and sessions.

use super::identifiers::SessionId;
use super::mode::Mode;

/// A holder of a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The owner.
    pub owner: Vec<u8>,
    /// How it holds the resource.
    pub mode: Mode,
    /// The fence of its lease.
    pub fence: u64,
    /// How often it holds the resource.
    pub holds: u32,
    /// How long the lease lasts from now, in milliseconds; none if as long as its session.
    pub ttl: Option<u64>,
    /// How long it has held, in milliseconds.
    pub held: u64,
    /// The session that keeps the lease.
    pub session: Option<SessionId>,
    /// The text that it gave about itself.
    pub meta: Vec<u8>,
}

/// A waiting request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitReport {
    /// The owner.
    pub owner: Vec<u8>,
    /// The resource.
    pub resource: Vec<u8>,
    /// How it wants to hold the resource.
    pub mode: Mode,
    /// Its position in the queue; the first is 0.
    pub position: usize,
    /// How long it has waited, in milliseconds.
    pub waited: u64,
    /// How long it still waits, in milliseconds.
    pub left: u64,
    /// The owners that it waits for: holders, then waiters ahead of it.
    pub blockers: Vec<Vec<u8>>,
}

/// A resource that is held or waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceReport {
    /// Its name.
    pub resource: Vec<u8>,
    /// Its holders, the first thousand.
    pub holders: Vec<Holder>,
    /// The number of requests that wait for it.
    pub waiters: usize,
}

/// A step of a walk through all resources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Where the next step begins; 0 after the last.
    pub next: usize,
    /// The resources that this step has found.
    pub resources: Vec<ResourceReport>,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionReport {
    /// How long it lasts from a ping, in milliseconds; none if only its connection keeps it.
    pub ttl: Option<u64>,
    /// How long it lasts from now, in milliseconds; once it is lost, how long its leases last.
    pub left: Option<u64>,
    /// How long its leases last after it is lost, in milliseconds.
    pub delay: u64,
    /// Whether it ends with a connection.
    pub is_bound: bool,
    /// Whether it is lost, so that only its delay keeps its leases.
    pub is_lost: bool,
    /// The number of its leases.
    pub leases: usize,
    /// The number of its waiting requests.
    pub waiters: usize,
    /// The resources of its leases, the first thousand.
    pub resources: Vec<Vec<u8>>,
}

/// Numbers of everything in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Resources that are held or waited for.
    pub resources: usize,
    /// Owners that hold or wait.
    pub owners: usize,
    /// Leases.
    pub leases: usize,
    /// Requests that wait.
    pub waiters: usize,
    /// Sessions.
    pub sessions: usize,
    /// Request ids that are remembered.
    pub request_ids: usize,
    /// Bytes that all of this takes, about.
    pub memory: usize,
    /// The last fence that was given out.
    pub last_fence: u64,
}

/// A report with times that count down.
pub trait Aging {
    /// Counts the times down by so many milliseconds.
    fn age(&mut self, millis: u64);
}

impl Aging for ResourceReport {
    fn age(&mut self, millis: u64) {
        self.holders.iter_mut().flat_map(|holder| &mut holder.ttl).for_each(|left| pass(left, millis));
    }
}

impl Aging for Vec<ResourceReport> {
    fn age(&mut self, millis: u64) {
        self.iter_mut().for_each(|report| report.age(millis));
    }
}

impl Aging for Page {
    fn age(&mut self, millis: u64) {
        self.resources.iter_mut().for_each(|report| report.age(millis));
    }
}

impl Aging for Vec<WaitReport> {
    fn age(&mut self, millis: u64) {
        self.iter_mut().for_each(|wait| pass(&mut wait.left, millis));
    }
}

impl Aging for SessionReport {
    fn age(&mut self, millis: u64) {
        self.left.iter_mut().for_each(|left| pass(left, millis));
    }
}

fn pass(left: &mut u64, millis: u64) {
    *left = left.saturating_sub(millis);
}
