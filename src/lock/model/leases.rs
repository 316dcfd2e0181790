//! Leases: which owner holds which resource, how, and until when.

use super::Model;
use super::events::Events;
use super::grants::GrantTerms;
use super::lease::{Lease, stored_ttl};
use super::load::Load;
use super::waiter::WaitKind;
use crate::lock::durability::Durability;
use crate::lock::identifiers::WaiterId;
use crate::lock::mode::Mode;
use crate::lock::notice::NoticeKind;
use crate::lock::outcome::Outcome;
use crate::lock::records::Record;

impl Model {
    /// The leases of an owner on a resource; of permits there may be several.  The shorter of both lists is searched.
    pub(in crate::lock) fn find_leases(&self, resource: usize, owner: usize) -> impl Iterator<Item = usize> {
        let (holders, leases) = (&self.resources[resource].holders, &self.owners[owner].leases);
        let among = if holders.len() < leases.len() { holders } else { leases };
        among.iter().copied().filter(move |&id| {
            let lease = &self.leases[id];
            lease.owner == owner && lease.resource == resource
        })
    }

    /// The last of these leases.
    pub(in crate::lock) fn find_lease(&self, resource: usize, owner: usize) -> Option<usize> {
        let later = |one: usize, other: usize| {
            if self.leases[one].fence < self.leases[other].fence { other } else { one }
        };
        self.find_leases(resource, owner).reduce(later)
    }

    /// The lease of an owner on a resource that has this fence; the last one if no fence is named.
    pub(in crate::lock) fn lease_under(
        &self,
        resource: &[u8],
        owner: &[u8],
        fence: Option<u64>,
    ) -> Option<usize> {
        let (resource, owner) = (self.resources.find(resource)?, self.owners.find(owner)?);
        match fence {
            Some(fence) => self.find_leases(resource, owner).find(|&id| self.leases[id].fence == fence),
            None => self.find_lease(resource, owner),
        }
    }

    /// The lease on a resource that has this fence.
    pub(in crate::lock) fn lease_at(&self, resource: &[u8], fence: u64) -> Option<usize> {
        let holders = &self.resources[self.resources.find(resource)?].holders;
        holders.iter().find(|&&id| self.leases[id].fence == fence).copied()
    }

    /// The last lease of an owner on a resource, one for as many permits if there is any.
    pub(in crate::lock) fn lease_for(&self, wanted: Mode, resource: usize, owner: usize) -> Option<usize> {
        let fits = |id: usize| self.leases[id].mode.is_like(wanted);
        self.find_leases(resource, owner).max_by_key(|&id| (fits(id), self.leases[id].fence))
    }

    /// Whether the owner's own leases on a resource leave no room for the wanted mode.  Permits may fit beside permits.
    pub(in crate::lock) fn keeps_from(&self, owner: usize, resource: usize, wanted: Mode) -> bool {
        let mut own = Load::default();
        let held = self.find_leases(resource, owner).map(|id| self.leases[id].mode);
        held.for_each(|mode| own.add(mode));
        !own.admits(wanted)
    }

    /// Adds a lease.
    pub(in crate::lock) fn add_lease(
        &mut self,
        terms: &GrantTerms<'_>,
        resource: usize,
        fence: u64,
    ) -> usize {
        let deadline = terms.ttl.map(|ttl| self.now + ttl * 1000);
        let (held, owner) = (&mut self.resources[resource], &mut self.owners[terms.owner]);
        held.load.add(terms.mode);
        let id = self.leases.insert(Lease {
            owner: terms.owner,
            resource,
            mode: terms.mode,
            fence,
            holds: 1,
            ttl: terms.ttl.map_or(0, stored_ttl),
            deadline: deadline.unwrap_or(0),
            session: terms.session.map_or(0, |session| session.0),
            granted_at: self.now,
            meta: terms.meta.into(),
            claims: 0,
            holder_index: held.holders.len() as u32,
            owner_index: owner.leases.len() as u32,
        });
        held.holders.push(id);
        owner.leases.push(id);
        self.meta_bytes += terms.meta.len();
        self.count_permits(resource, terms.mode);
        if let Some(deadline) = deadline {
            self.leases_due.insert((deadline, id as u32));
        }
        if let Some(session) = terms.session.and_then(|session| self.sessions.get_mut(&session)) {
            session.leases.insert(id);
        }
        id
    }

    /// Removes a lease.  Waiters for its resource may have their turn at the end of the operation.
    pub(in crate::lock) fn remove_lease(&mut self, id: usize, events: &mut Events) {
        let lease = self.leases.remove(id).expect("a lease ends once");
        self.meta_bytes -= lease.meta.len();
        let resource = &mut self.resources[lease.resource];
        resource.load.remove(lease.mode);
        resource.holders.swap_remove(lease.holder_index as usize);
        if let Some(&moved) = resource.holders.get(lease.holder_index as usize) {
            self.leases[moved].holder_index = lease.holder_index;
        }
        let owner = &mut self.owners[lease.owner];
        owner.leases.swap_remove(lease.owner_index as usize);
        if let Some(&moved) = owner.leases.get(lease.owner_index as usize) {
            self.leases[moved].owner_index = lease.owner_index;
        }
        let (waits, holds_more) = (owner.wait.is_some(), !owner.leases.is_empty());
        self.discount_permits(lease.resource, lease.mode);
        if let Some(deadline) = lease.deadline() {
            self.leases_due.remove(&(deadline, id as u32));
        }
        if let Some(session) = lease.session().and_then(|session| self.sessions.get_mut(&session)) {
            session.leases.remove(&id);
        }
        self.touched.push_back(lease.resource);
        if waits {
            self.end_upgrade(lease.owner, lease.resource, events);
            self.forget_owner(lease.owner);
        } else if !holds_more {
            self.owners.remove(lease.owner);
        }
    }

    /// Answers a waiting upgrade whose lease has ended.
    pub(in crate::lock) fn end_upgrade(&mut self, owner: usize, resource: usize, events: &mut Events) {
        let is_upgrade = |waiter: &WaiterId| self.waiters[waiter].kind == WaitKind::Upgrade;
        let Some(waiter) = self.wait_for(resource, owner).filter(is_upgrade) else { return };
        let ended = self.take_waiter(waiter);
        self.request_ids.forget(&ended.request.key);
        events.answer(waiter, Outcome::LeaseLost);
    }

    /// Notes a user of permits, and the total that it has named.
    pub(in crate::lock) fn count_permits(&mut self, resource: usize, mode: Mode) {
        if let Mode::Permits { of, .. } = mode {
            let resource = &mut self.resources[resource];
            resource.most_permits = resource.most_permits.max(of);
            resource.permit_users += 1;
        }
    }

    pub(in crate::lock) fn discount_permits(&mut self, resource: usize, mode: Mode) {
        if matches!(mode, Mode::Permits { .. }) {
            let resource = &mut self.resources[resource];
            resource.permit_users -= 1;
            if resource.permit_users == 0 {
                resource.most_permits = 0;
            }
        }
    }

    pub(in crate::lock) fn expire_lease(&mut self, id: usize, events: &mut Events) {
        self.counts.expired += 1;
        self.end_lease(id, NoticeKind::Expired, b"", events);
    }

    /// Ends a lease, with a record and a notice.
    pub(in crate::lock) fn end_lease(
        &mut self,
        id: usize,
        kind: NoticeKind,
        reason: &[u8],
        events: &mut Events,
    ) {
        let lease = &self.leases[id];
        if events.keeps == Durability::Full {
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Ended { owner, resource, fence: Some(lease.fence) });
        }
        self.notice(kind, lease.resource, lease.owner, lease.fence, reason, events);
        self.remove_lease(id, events);
    }

    /// Has a lease last at least `ttl` milliseconds from now.
    pub(in crate::lock) fn extend_lease(&mut self, id: usize, ttl: u64, events: &mut Events) {
        let lease = &mut self.leases[id];
        let Some(old) = lease.deadline() else { return };
        // A lease never becomes shorter.
        let new = old.max(self.now + ttl * 1000);
        if new > old {
            lease.deadline = new;
            self.leases_due.remove(&(old, id as u32));
            self.leases_due.insert((new, id as u32));
        }
        // Recovery gives a lease its full time, so a record is needed only if the promised time grows.
        if lease.ttl().is_some_and(|promised| promised < ttl) {
            lease.ttl = stored_ttl(ttl);
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Renewed { owner, resource, fence: Some(lease.fence), ttl });
        }
    }
}
