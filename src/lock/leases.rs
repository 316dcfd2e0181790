//! Leases: who holds which resource, how, and until when.

use smallvec::SmallVec;

use super::core::{Core, Terms};
use super::events::{Events, Grant, NoticeKind, Outcome, Undo, WaiterId};
use super::idempotency::{Done, Fingerprint, Operation};
use super::keeping::Durability;
use super::modes::Mode;
use super::operation::{Check, Renew, RenewAll};
use super::records::Record;
use super::refused::Refused;
use super::sessions::SessionId;
use super::waiters::Kind;

/// One owner's hold on one resource.
pub(super) struct Lease {
    pub(super) owner: usize,
    pub(super) resource: usize,
    pub(super) mode: Mode,
    pub(super) fence: u64,
    /// How often the owner has acquired it without giving it back.
    pub(super) holds: u32,
    /// How long it was promised to last, in milliseconds; 0 if it lasts as long as its session.
    ttl: u32,
    /// When it ends, in microseconds; 0 if it lasts as long as its session.
    deadline: u64,
    /// 0 if there is none.
    session: u64,
    pub(super) granted_at: u64,
    pub(super) meta: Box<[u8]>,
    /// How many retries of the request were told of it.  It is withdrawn once all of these and the first have gone
    /// unheard.
    pub(super) claims: u32,
    /// Where it stands among the holders of its resource.
    place: u32,
    /// Where it stands among the leases of its owner.
    owner_place: u32,
}

impl Lease {
    /// How long it was promised to last, in milliseconds; none if it lasts as long as its session.
    pub(super) fn ttl(&self) -> Option<u64> {
        Some(self.ttl.into()).filter(|&ttl| ttl != 0)
    }

    /// When it ends, in microseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        Some(self.deadline).filter(|&deadline| deadline != 0)
    }

    /// What keeps it.
    pub(super) fn session(&self) -> Option<SessionId> {
        Some(SessionId(self.session)).filter(|session| session.0 != 0)
    }
}

/// A time to live as a lease keeps it.
fn kept_ttl(ttl: u64) -> u32 {
    u32::try_from(ttl).unwrap_or(u32::MAX)
}

impl Core {
    /// The leases of an owner on a resource, looked for where there are fewer.  Of permits they may be several.
    pub(super) fn find_leases(&self, resource: usize, owner: usize) -> impl Iterator<Item = usize> {
        let (holders, leases) = (&self.resources[resource].holders, &self.owners[owner].leases);
        let among = if holders.len() < leases.len() { holders } else { leases };
        among.iter().copied().filter(move |&id| {
            let lease = &self.leases[id];
            lease.owner == owner && lease.resource == resource
        })
    }

    /// The last of them.
    pub(super) fn find_lease(&self, resource: usize, owner: usize) -> Option<usize> {
        let later = |one: usize, other: usize| {
            if self.leases[one].fence < self.leases[other].fence { other } else { one }
        };
        self.find_leases(resource, owner).reduce(later)
    }

    /// The lease of an owner on a resource that has this fence, or the last if none is named.
    pub(super) fn lease_under(&self, resource: &[u8], owner: &[u8], fence: Option<u64>) -> Option<usize> {
        let (resource, owner) = (self.resources.find(resource)?, self.owners.find(owner)?);
        match fence {
            Some(fence) => self.find_leases(resource, owner).find(|&id| self.leases[id].fence == fence),
            None => self.find_lease(resource, owner),
        }
    }

    /// The lease on a resource that has this fence.
    pub(super) fn lease_at(&self, resource: &[u8], fence: u64) -> Option<usize> {
        let holders = &self.resources[self.resources.find(resource)?].holders;
        holders.iter().find(|&&id| self.leases[id].fence == fence).copied()
    }

    /// Enters a lease.
    pub(super) fn add_lease(&mut self, terms: &Terms<'_>, resource: usize, fence: u64) -> usize {
        let deadline = terms.ttl.map(|ttl| self.now + ttl * 1000);
        let (place, owner) = (&mut self.resources[resource], &mut self.owners[terms.owner]);
        place.load.add(terms.mode);
        let id = self.leases.insert(Lease {
            owner: terms.owner,
            resource,
            mode: terms.mode,
            fence,
            holds: 1,
            ttl: terms.ttl.map_or(0, kept_ttl),
            deadline: deadline.unwrap_or(0),
            session: terms.session.map_or(0, |session| session.0),
            granted_at: self.now,
            meta: terms.meta.into(),
            claims: 0,
            place: place.holders.len() as u32,
            owner_place: owner.leases.len() as u32,
        });
        place.holders.push(id);
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

    /// Ends a lease.  Whoever waits for it has its turn at the end of the operation.
    pub(super) fn remove_lease(&mut self, id: usize, events: &mut Events) {
        let lease = self.leases.remove(id).expect("a lease ends once");
        self.meta_bytes -= lease.meta.len();
        let resource = &mut self.resources[lease.resource];
        resource.load.remove(lease.mode);
        resource.holders.swap_remove(lease.place as usize);
        if let Some(&moved) = resource.holders.get(lease.place as usize) {
            self.leases[moved].place = lease.place;
        }
        let owner = &mut self.owners[lease.owner];
        owner.leases.swap_remove(lease.owner_place as usize);
        if let Some(&moved) = owner.leases.get(lease.owner_place as usize) {
            self.leases[moved].owner_place = lease.owner_place;
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

    /// An upgrade of a lease that has ended will never come.
    fn end_upgrade(&mut self, owner: usize, resource: usize, events: &mut Events) {
        let is_upgrade = |waiter: &WaiterId| self.waiters[waiter].kind == Kind::Upgrade;
        let Some(waiter) = self.wait_for(resource, owner).filter(is_upgrade) else { return };
        let ended = self.take_waiter(waiter);
        self.request_ids.forget(&ended.request.key);
        events.answer(waiter, Outcome::LeaseLost);
    }

    /// Remembers how many permits a resource has at most, as long as somebody uses them.
    pub(super) fn count_permits(&mut self, resource: usize, mode: Mode) {
        if let Mode::Permits { of, .. } = mode {
            let resource = &mut self.resources[resource];
            resource.most_permits = resource.most_permits.max(of);
            resource.permit_users += 1;
        }
    }

    pub(super) fn discount_permits(&mut self, resource: usize, mode: Mode) {
        if matches!(mode, Mode::Permits { .. }) {
            let resource = &mut self.resources[resource];
            resource.permit_users -= 1;
            if resource.permit_users == 0 {
                resource.most_permits = 0;
            }
        }
    }

    pub(super) fn expire_lease(&mut self, id: usize, events: &mut Events) {
        self.counts.expired += 1;
        self.end_lease(id, NoticeKind::Expired, b"", events);
    }

    /// Ends a lease, writes it down and tells who listens.
    pub(super) fn end_lease(&mut self, id: usize, kind: NoticeKind, reason: &[u8], events: &mut Events) {
        let lease = &self.leases[id];
        if events.keeps == Durability::Full {
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Ended { owner, resource, fence: Some(lease.fence) });
        }
        self.notice(kind, lease.resource, lease.owner, lease.fence, reason, events);
        self.remove_lease(id, events);
    }

    /// What there is to say about a lease that is held.
    pub(super) fn grant_of(&self, id: usize) -> Grant {
        let lease = &self.leases[id];
        let left = |deadline: u64| (deadline - self.now) / 1000;
        Grant {
            fence: lease.fence,
            ttl: lease.deadline().map(left),
            holds: lease.holds,
            waited: 0,
            deadline: lease.deadline().filter(|_| lease.session().is_none()),
            leases: [id].into_iter().collect(),
            undo: Undo::Nothing,
            owner: None,
            request: Box::default(),
        }
    }

    /// The same of several that are held under one fence: what is said of them is true of each.
    pub(super) fn grant_of_all(&self, ids: &[usize]) -> Grant {
        let ends_first = |&&id: &&usize| self.leases[id].deadline().unwrap_or(u64::MAX);
        let first = ids.iter().min_by_key(ends_first).expect("a request names a resource");
        Grant { leases: ids.into(), ..self.grant_of(*first) }
    }

    /// Has a lease last at least `ttl` milliseconds from now.
    pub(super) fn extend_lease(&mut self, id: usize, ttl: u64, events: &mut Events) {
        let lease = &mut self.leases[id];
        let Some(old) = lease.deadline() else { return };
        // What was promised before counts as well: a lease never becomes shorter.
        let new = old.max(self.now + ttl * 1000);
        if new > old {
            lease.deadline = new;
            self.leases_due.remove(&(old, id as u32));
            self.leases_due.insert((new, id as u32));
        }
        // Recovery gives a lease its full time anew, so the promise is written down only when it grows.
        if lease.ttl().is_some_and(|promised| promised < ttl) {
            lease.ttl = kept_ttl(ttl);
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Renewed { owner, resource, fence: Some(lease.fence), ttl });
        }
    }

    /// LOCK.RENEW: has leases, all of them or none, last at least `ttl` milliseconds from now.  A retry renews them again,
    /// since its client counts from then.  Of several leases on a resource all are renewed unless a fence names one.
    ///
    /// # Errors
    /// If the owner does not hold all resources, or not under that fence, or as long as its session; if the grant has
    /// ended since the request was made first; if its id was used for another.
    pub fn renew(&mut self, renew: &Renew<'_>, now: u64, events: &mut Events) -> Result<Grant, Refused> {
        let &Renew { resources, owner, ttl, fence, request } = renew;
        self.advance(now, events);
        super::requests::check_ttl(ttl)?;
        let fingerprint = || {
            let renewal = Fingerprint::of(Operation::Renew).text(owner).texts(resources);
            renewal.number(ttl).optional(fence)
        };
        let request = request.bind(fingerprint)?;
        let before = self.done_before(&request)?;
        let mut leases: SmallVec<[usize; 1]> = SmallVec::new();
        for resource in resources {
            let last = self.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
            leases.push(last);
            if fence.is_none() {
                let all = self.find_leases(self.leases[last].resource, self.leases[last].owner);
                leases.extend(all.filter(|&id| id != last));
            }
        }
        let &first = leases.first().ok_or(Refused::NotHeld)?;
        if let Some(Done::Granted(before)) = before
            && before != self.leases[first].fence
        {
            return Err(Refused::GrantEnded(before));
        }
        if leases.iter().any(|&id| self.leases[id].deadline().is_none()) {
            return Err(Refused::LeaseOfSession);
        }
        for &id in &leases {
            self.extend_lease(id, ttl, events);
        }
        self.counts.renewed += leases.len() as u64;
        self.remember(&request, Done::Granted(self.leases[first].fence), events);
        // A grant has one fence: it speaks of the last lease.
        let fence = self.leases[first].fence;
        leases.retain(|id| self.leases[*id].fence == fence);
        Ok(self.grant_of_all(&leases))
    }

    /// LOCK.RENEWALL: the same for all leases of an owner that have a time of their own; returns how many.
    ///
    /// # Errors
    /// If the time is out of range, or the id of the request was used for another.
    pub fn renew_all(&mut self, renew: &RenewAll<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &RenewAll { owner, ttl, request } = renew;
        self.advance(now, events);
        super::requests::check_ttl(ttl)?;
        let request = request.bind(|| Fingerprint::of(Operation::RenewAll).text(owner).number(ttl))?;
        self.done_before(&request)?;
        let known = self.owners.find(owner);
        let leases = known.map_or_else(SmallVec::new, |owner| self.owners[owner].leases.clone());
        let mut renewed = 0;
        for id in leases {
            if self.leases[id].deadline().is_some() {
                self.extend_lease(id, ttl, events);
                renewed += 1;
            }
        }
        self.counts.renewed += renewed;
        self.remember(&request, Done::Counted(renewed), events);
        Ok(renewed)
    }

    /// LOCK.CHECK: whether the resources are held under this fence.
    pub fn check(&mut self, check: &Check<'_>, now: u64, events: &mut Events) -> bool {
        self.advance(now, events);
        check.resources.iter().all(|resource| self.lease_at(resource, check.fence).is_some())
    }
}
