//! What can be asked about locks: one resource, all of them in steps, who waits, what deadlocks there were.

use super::core::Core;
use super::counts::Counts;
use super::deadlock::Deadlock;
use super::events::{Events, WaiterId};
use super::limits::{HOLDERS_SHOWN_MAX, LIST_STEP_MAX, WAITS_SHOWN_MAX};
use super::modes::Mode;
use super::operation::{Deadlocks, Inspect, InspectSession, List, Waits};
use super::refused::Refused;
use super::sessions::SessionId;

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

impl Core {
    /// What there is now.
    pub fn totals(&self) -> Totals {
        Totals {
            resources: self.resources.len(),
            owners: self.owners.len(),
            leases: self.leases.len(),
            waiters: self.waiters.len(),
            sessions: self.sessions.len(),
            request_ids: self.request_ids.len(),
            memory: self.memory(),
            last_fence: self.fences.last(),
        }
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many connections have sessions that end with them.
    pub fn bound_connections(&self) -> usize {
        self.connections.len()
    }

    /// LOCK.DEADLOCKS: the last deadlocks, the newest first.
    pub fn deadlocks(&mut self, wanted: &Deadlocks, now: u64, events: &mut Events) -> Vec<Deadlock> {
        self.advance(now, events);
        self.deadlocks.iter().take(wanted.count).cloned().collect()
    }

    /// LOCK.INFO: the resources that are held or waited for.
    pub fn inspect(&mut self, wanted: &Inspect<'_>, now: u64, events: &mut Events) -> Vec<ResourceReport> {
        self.advance(now, events);
        let found = wanted.resources.iter().filter_map(|resource| self.resources.find(resource));
        found.map(|id| self.report(id)).collect()
    }

    fn report(&self, id: usize) -> ResourceReport {
        let resource = &self.resources[id];
        ResourceReport {
            resource: self.resources.name(id).into(),
            holders: resource.holders.iter().take(HOLDERS_SHOWN_MAX).map(|&id| self.holder(id)).collect(),
            waiters: resource.queue.len(),
        }
    }

    fn holder(&self, id: usize) -> Holder {
        let lease = &self.leases[id];
        let session_end = || self.sessions.get(&lease.session()?)?.deadline;
        let end = [lease.deadline(), session_end()].into_iter().flatten().min();
        Holder {
            owner: self.owners.name(lease.owner).into(),
            mode: lease.mode,
            fence: lease.fence,
            holds: lease.holds,
            ttl: end.map(|end| end.saturating_sub(self.now) / 1000),
            held: (self.now - lease.granted_at) / 1000,
            session: lease.session(),
            meta: lease.meta.to_vec(),
        }
    }

    /// LOCK.LIST: a step of a walk through all resources.
    pub fn list(&mut self, list: &List<'_>, now: u64, events: &mut Events) -> Page {
        let &List { cursor, pattern, owner } = list;
        self.advance(now, events);
        let places = self.resources.places();
        let mut end = cursor.saturating_add(LIST_STEP_MAX).min(places);
        let owner_id = owner.map(|owner| self.owners.find(owner));
        let is_wanted = |id: usize| {
            self.resources.get(id).is_some()
                && pattern.is_none_or(|pattern| pattern.matches(self.resources.name(id)))
                && owner_id
                    .is_none_or(|owner| owner.is_some_and(|owner| self.find_lease(id, owner).is_some()))
        };
        let (mut resources, mut holders) = (Vec::new(), 0);
        for id in (cursor..end).filter(|&id| is_wanted(id)) {
            let report = self.report(id);
            holders += report.holders.len();
            resources.push(report);
            if holders >= HOLDERS_SHOWN_MAX {
                end = id + 1;
                break;
            }
        }
        Page { next: if end < places { end } else { 0 }, resources }
    }

    /// LOCK.WAITS: who waits for whom, in the order of the queues: of one resource, of one owner, or of all.  At most
    /// `count`, and never more than a thousand.
    pub fn waits(&mut self, waits: &Waits<'_>, now: u64, events: &mut Events) -> Vec<WaitReport> {
        let &Waits { resource, owner, count } = waits;
        self.advance(now, events);
        let count = count.min(WAITS_SHOWN_MAX);
        let owner_id = owner.map(|owner| self.owners.find(owner));
        let resources: Vec<usize> = match (resource, owner_id) {
            (Some(name), _) => self.resources.find(name).into_iter().collect(),
            (None, Some(owner)) => {
                let wait = owner.and_then(|owner| self.owners[owner].wait);
                wait.map(|wait| self.waiters[&wait].resources.to_vec()).unwrap_or_default()
            }
            (None, None) => self.resources.iter().map(|(id, _, _)| id).collect(),
        };
        let mut reports = Vec::new();
        for id in resources {
            for (place, waiter) in self.resources[id].queue.iter().enumerate() {
                if reports.len() == count {
                    return reports;
                }
                if owner_id.is_none_or(|owner| owner == Some(self.waiters[waiter].owner)) {
                    reports.push(self.wait_report(id, place, waiter));
                }
            }
        }
        reports
    }

    fn wait_report(&self, resource: usize, place: usize, id: &WaiterId) -> WaitReport {
        /// Blockers that one report names: whoever is behind many learns of those at the front.
        const BLOCKERS_SHOWN_MAX: usize = 16;
        let known = &self.resources[resource];
        let waiter = &self.waiters[id];
        let held = known.holders.iter().map(|&lease| &self.leases[lease]);
        let held = held.map(|lease| (lease.owner, lease.mode));
        let ahead = known.queue.iter().take(place).map(|other| &self.waiters[other]);
        let ahead = ahead.map(|other| (other.owner, other.mode));
        let blockers = held
            .chain(ahead)
            .filter(|&(owner, mode)| owner != waiter.owner && mode.conflicts(waiter.mode))
            .take(BLOCKERS_SHOWN_MAX)
            .map(|(owner, _)| self.owners.name(owner).into())
            .collect();
        WaitReport {
            owner: self.owners.name(waiter.owner).into(),
            resource: self.resources.name(resource).into(),
            mode: waiter.mode,
            place,
            waited: (self.now - waiter.since) / 1000,
            left: waiter.deadline.saturating_sub(self.now) / 1000,
            blockers,
        }
    }

    /// LOCK.SESSION INFO: how long a session lasts from now, in milliseconds, and the resources of its leases.
    ///
    /// # Errors
    /// If there is no such session.
    pub fn inspect_session(
        &mut self,
        wanted: &InspectSession,
        now: u64,
        events: &mut Events,
    ) -> Result<SessionReport, Refused> {
        self.advance(now, events);
        let session = self.sessions.get(&wanted.session).ok_or(Refused::NoSession)?;
        let mut leases: Vec<usize> = session.leases.iter().copied().collect();
        leases.sort_unstable();
        leases.truncate(HOLDERS_SHOWN_MAX);
        Ok(SessionReport {
            ttl: session.ttl,
            left: session.deadline.map(|deadline| (deadline - self.now) / 1000),
            delay: session.delay,
            is_bound: session.is_bound,
            is_lost: session.is_lost,
            leases: session.leases.len(),
            waiters: session.waiters.len(),
            resources: leases
                .into_iter()
                .map(|id| self.resources.name(self.leases[id].resource).into())
                .collect(),
        })
    }
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
