//! What is reported of locks, waiters and sessions.

use super::identifiers::SessionId;
use super::mode::Mode;

/// One owner's hold on a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The owner.
    pub owner: Vec<u8>,
    /// How it holds.
    pub mode: Mode,
    /// The fence of its lease.
    pub fence: u64,
    /// How often it holds.
    pub holds: u32,
    /// How long the lease lasts from now, in milliseconds; none if as long as its session.
    pub ttl: Option<u64>,
    /// How long it has held, in milliseconds.
    pub held: u64,
    /// The session that keeps the lease.
    pub session: Option<SessionId>,
    /// What it said about itself.
    pub meta: Vec<u8>,
}

/// A request that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitReport {
    /// Who waits.
    pub owner: Vec<u8>,
    /// For what.
    pub resource: Vec<u8>,
    /// How it is to be held.
    pub mode: Mode,
    /// Its place in the queue; the first is 0.
    pub place: usize,
    /// How long it has waited, in milliseconds.
    pub waited: u64,
    /// How long it will wait still, in milliseconds.
    pub left: u64,
    /// Whom it waits for: holders, then those ahead of it, that it conflicts with.
    pub blockers: Vec<Vec<u8>>,
}

/// A resource that is held or waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceReport {
    /// Its name.
    pub resource: Vec<u8>,
    /// Who holds it, the first thousand.
    pub holders: Vec<Holder>,
    /// How many wait for it.
    pub waiters: usize,
}

/// A step of a walk through all resources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Where the next step begins; 0 after the last.
    pub next: usize,
    /// What this step has found.
    pub resources: Vec<ResourceReport>,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionReport {
    /// How long it lasts from a ping, in milliseconds; none if only its connection keeps it.
    pub ttl: Option<u64>,
    /// How long it, or once it is lost its leases, last from now, in milliseconds.
    pub left: Option<u64>,
    /// How long its leases are kept after it was lost, in milliseconds.
    pub delay: u64,
    /// Whether it ends with a connection.
    pub is_bound: bool,
    /// Whether it was lost and only its delay keeps its leases.
    pub is_lost: bool,
    /// Its leases.
    pub leases: usize,
    /// Its requests that wait.
    pub waiters: usize,
    /// The resources of its leases, the first thousand.
    pub resources: Vec<Vec<u8>>,
}

/// Numbers of what there is now.
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
    /// Bytes that all this takes, about.
    pub memory: usize,
    /// The last fence.
    pub last_fence: u64,
}

/// A report with times that count down.
pub trait Aging {
    /// So many milliseconds have passed since it was made.
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
