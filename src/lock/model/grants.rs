//! Granting, changing the mode of a lease, and taking a grant back.

use smallvec::SmallVec;

use super::Model;
use super::events::Events;
use super::idempotency::{Bound, Done};
use crate::lock::durability::Durability;
use crate::lock::grant::{Grant, Withdrawal};
use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;
use crate::lock::notice::NoticeKind;
use crate::lock::records::{Granted, Record};

/// The terms of a grant, without the resources.
pub(in crate::lock) struct GrantTerms<'a> {
    pub(in crate::lock) owner: usize,
    pub(in crate::lock) mode: Mode,
    /// How long the leases last, in milliseconds.
    pub(in crate::lock) ttl: Option<u64>,
    pub(in crate::lock) session: Option<SessionId>,
    pub(in crate::lock) meta: &'a [u8],
    pub(in crate::lock) request: &'a Bound,
    /// When the request was made.
    pub(in crate::lock) since: u64,
}

impl Model {
    /// Gives resources to an owner, all under one fence.
    pub(in crate::lock) fn grant(
        &mut self,
        terms: &GrantTerms<'_>,
        resources: &[usize],
        events: &mut Events,
    ) -> Grant {
        let fence = self.fences.take();
        let leases = resources.iter().map(|&resource| self.add_lease(terms, resource, fence)).collect();
        if events.keeps == Durability::Full {
            events.record(&Record::Granted(Granted {
                fence,
                ttl: terms.ttl.unwrap_or(0),
                mode: terms.mode,
                holds: 1,
                session: terms.session.map_or(0, |session| session.0),
                owner: self.owners.name(terms.owner),
                meta: terms.meta,
                resources: resources.iter().map(|&resource| self.resources.name(resource)).collect(),
            }));
        }
        self.remember(terms.request, Done::Granted(fence), events);
        self.counts.granted += 1;
        for &resource in resources {
            self.notice(NoticeKind::Acquired, resource, terms.owner, fence, b"", events);
        }
        let waited = (self.now - terms.since) / 1000;
        Grant {
            fence,
            ttl: terms.ttl,
            holds: 1,
            waited,
            deadline: terms.ttl.filter(|_| terms.session.is_none()).map(|ttl| self.now + ttl * 1000),
            leases,
            withdrawal: Withdrawal::Hold,
            owner: None,
            request: terms.request.key.clone(),
        }
    }

    /// A lease as its holder is told of it.
    pub(in crate::lock) fn grant_of(&self, id: usize) -> Grant {
        let lease = &self.leases[id];
        let left = |deadline: u64| (deadline - self.now) / 1000;
        Grant {
            fence: lease.fence,
            ttl: lease.deadline().map(left),
            holds: lease.holds,
            waited: 0,
            deadline: lease.deadline().filter(|_| lease.session().is_none()),
            leases: [id].into_iter().collect(),
            withdrawal: Withdrawal::Nothing,
            owner: None,
            request: Box::default(),
        }
    }

    /// The same for several leases under one fence: it is true of each of them.
    pub(in crate::lock) fn grant_of_all(&self, ids: &[usize]) -> Grant {
        let ends_first = |&&id: &&usize| self.leases[id].deadline().unwrap_or(u64::MAX);
        let first = ids.iter().min_by_key(ends_first).expect("a request names at least one resource");
        Grant { leases: ids.into(), ..self.grant_of(*first) }
    }

    /// Makes a shared lease exclusive.  It gets a new fence, since others that shared the resource may have had later
    /// ones.
    pub(in crate::lock) fn make_exclusive(
        &mut self,
        owner: usize,
        resource: usize,
        since: u64,
        events: &mut Events,
    ) -> Grant {
        let id = self.find_lease(resource, owner).expect("an upgrade is answered when its lease ends");
        let fence = self.fences.take();
        let before = self.leases[id].fence;
        self.change_mode(id, Mode::Exclusive, fence, events);
        self.counts.granted += 1;
        self.notice(NoticeKind::Acquired, resource, owner, fence, b"", events);
        let waited = (self.now - since) / 1000;
        Grant { waited, withdrawal: Withdrawal::Upgrade(before), ..self.grant_of(id) }
    }

    pub(in crate::lock) fn change_mode(&mut self, id: usize, mode: Mode, fence: u64, events: &mut Events) {
        let lease = &mut self.leases[id];
        let load = &mut self.resources[lease.resource].load;
        load.remove(lease.mode);
        load.add(mode);
        (lease.mode, lease.fence) = (mode, fence);
        let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
        events.record(&Record::ModeChanged { owner, resource, mode, fence });
        self.touched.push_back(lease.resource);
    }

    /// The leases of a grant that have not ended.  The slot of one that has ended may hold another lease, but fences
    /// are never given twice.
    pub(in crate::lock) fn leases_of(&self, grant: &Grant) -> SmallVec<[usize; 1]> {
        let is_of_grant = |id: &usize| self.leases.get(*id).is_some_and(|lease| lease.fence == grant.fence);
        grant.leases.iter().copied().filter(is_of_grant).collect()
    }

    /// Undoes the effect of a grant on a lease.
    pub(in crate::lock) fn take_back(&mut self, id: usize, withdrawal: Withdrawal, events: &mut Events) {
        let lease = &mut self.leases[id];
        match withdrawal {
            Withdrawal::Nothing | Withdrawal::Claim => return,
            Withdrawal::Upgrade(fence) => {
                // Its owner may have changed it again since, and knows that.
                if lease.mode == Mode::Exclusive {
                    self.change_mode(id, Mode::Shared, fence, events);
                }
            }
            Withdrawal::Hold if lease.holds > 1 => {
                lease.holds -= 1;
                let holds = lease.holds;
                let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
                events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds });
            }
            Withdrawal::Hold => self.end_lease(id, NoticeKind::Released, b"", events),
        }
        self.counts.withdrawn += 1;
    }
}
