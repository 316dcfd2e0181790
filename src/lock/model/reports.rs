//! Reports of the model: resources, waiters, deadlocks, sessions, totals.

use super::Model;
use crate::lock::counts::Counts;
use crate::lock::deadlock::Deadlock;
use crate::lock::identifiers::WaiterId;
use crate::lock::limits::{HOLDERS_SHOWN_MAX, LIST_STEP_MAX, WAITS_SHOWN_MAX};
use crate::lock::operation::{Deadlocks, Inspect, InspectSession, List, Waits};
use crate::lock::refused::Refused;
use crate::lock::report::{Holder, Page, ResourceReport, SessionReport, Totals, WaitReport};

impl Model {
    /// The numbers of everything in the table.
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

    /// The counts of events since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many connections have sessions that end with them.
    pub fn bound_connections(&self) -> usize {
        self.connections.len()
    }

    /// The last deadlocks, the newest first.
    pub(in crate::lock) fn last_deadlocks(&self, wanted: &Deadlocks) -> Vec<Deadlock> {
        self.deadlocks.iter().take(wanted.count).cloned().collect()
    }

    /// Those of the resources that are held or waited for.
    pub(in crate::lock) fn inspect(&self, wanted: &Inspect<'_>) -> Vec<ResourceReport> {
        let found = wanted.resources.iter().filter_map(|resource| self.resources.find(resource));
        found.map(|id| self.report(id)).collect()
    }

    pub(in crate::lock) fn report(&self, id: usize) -> ResourceReport {
        let resource = &self.resources[id];
        ResourceReport {
            resource: self.resources.name(id).into(),
            holders: resource.holders.iter().take(HOLDERS_SHOWN_MAX).map(|&id| self.holder(id)).collect(),
            waiters: resource.queue.len(),
        }
    }

    pub(in crate::lock) fn holder(&self, id: usize) -> Holder {
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

    /// A step of a walk through all resources.
    pub(in crate::lock) fn list(&self, list: &List<'_>) -> Page {
        let &List { cursor, pattern, owner } = list;
        let slots = self.resources.slots();
        let mut end = cursor.saturating_add(LIST_STEP_MAX).min(slots);
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
        Page { next: if end < slots { end } else { 0 }, resources }
    }

    /// Waiting requests with their blockers, in the order of the queues; at most a thousand.
    pub(in crate::lock) fn waits(&self, waits: &Waits<'_>) -> Vec<WaitReport> {
        let &Waits { resource, owner, count } = waits;
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
            for (position, waiter) in self.resources[id].queue.iter().enumerate() {
                if reports.len() == count {
                    return reports;
                }
                if owner_id.is_none_or(|owner| owner == Some(self.waiters[waiter].owner)) {
                    reports.push(self.wait_report(id, position, waiter));
                }
            }
        }
        reports
    }

    pub(in crate::lock) fn wait_report(&self, resource: usize, position: usize, id: &WaiterId) -> WaitReport {
        /// Blockers that one report names, from the front of the queue.
        const BLOCKERS_SHOWN_MAX: usize = 16;
        let known = &self.resources[resource];
        let waiter = &self.waiters[id];
        let held = known.holders.iter().map(|&lease| &self.leases[lease]);
        let held = held.map(|lease| (lease.owner, lease.mode));
        let ahead = known.queue.iter().take(position).map(|other| &self.waiters[other]);
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
            position,
            waited: (self.now - waiter.since) / 1000,
            left: waiter.deadline.saturating_sub(self.now) / 1000,
            blockers,
        }
    }

    /// A session and the resources of its leases.
    ///
    /// # Errors
    /// If there is no such session.
    pub(in crate::lock) fn inspect_session(&self, wanted: &InspectSession) -> Result<SessionReport, Refused> {
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
