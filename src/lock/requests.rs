//! Asking for resources: at once, in turn, or not at all.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::core::{Core, Due, Terms};
use super::deadlock::{self, Deadlock};
use super::events::{Events, Grant, NoticeKind, Undo, WaiterId};
use super::idempotency::{Bound, Done, Fingerprint, Operation};
use super::leases::Lease;
use super::limits::{
    HOLDS_MAX, LEASES_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, PERMITS_MAX, RESOURCE_LENGTH_MAX,
    RESOURCES_PER_REQUEST_MAX, TTL_MAX, WAIT_MAX, WAITERS_MAX, WAITERS_PER_RESOURCE_MAX,
};
use super::modes::{Load, Mode};
use super::operation::{Acquire, Downgrade, Upgrade};
use super::records::Record;
use super::refused::Refused;
use super::waiters::{Kind, Waiter};

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acquired {
    /// It was granted.
    Granted(Grant),
    /// It cannot be granted now and was not to wait.
    Busy,
    /// It waits.
    Waiting(WaiterId),
    /// It is a retry of one that waits, whose place it takes.
    Rejoined(WaiterId),
    /// Waiting would close a circle of owners that wait for one another.
    Deadlock(Deadlock),
}

/// Refuses a time that no lease may have.
pub(super) fn check_ttl(ttl: u64) -> Result<(), Refused> {
    if ttl == 0 || ttl > TTL_MAX { Err(Refused::Ttl) } else { Ok(()) }
}

fn check_wait(wait: u64) -> Result<(), Refused> {
    if wait > WAIT_MAX { Err(Refused::Wait) } else { Ok(()) }
}

impl Acquire<'_> {
    /// What can be said without looking at the table.  A name that is empty comes from a variable that was never set: all
    /// who make that mistake would be one owner, or lock one another out.
    fn check(&self) -> Result<(), Refused> {
        if self.owner.is_empty() {
            return Err(Refused::EmptyOwner);
        }
        if self.owner.len() > OWNER_LENGTH_MAX {
            return Err(Refused::LongOwner);
        }
        if self.meta.len() > META_LENGTH_MAX {
            return Err(Refused::LongMeta);
        }
        check_wait(self.wait)?;
        match self.ttl {
            Some(ttl) => check_ttl(ttl)?,
            None if self.session.is_some() => {}
            None => return Err(Refused::NoTtl),
        }
        if let Mode::Permits { count, of } = self.mode
            && (count == 0 || count > of || of > PERMITS_MAX)
        {
            return Err(Refused::Permits);
        }
        if self.resources.is_empty() || self.resources.len() > RESOURCES_PER_REQUEST_MAX {
            return Err(Refused::ResourceCount);
        }
        for resource in self.resources {
            if resource.is_empty() {
                return Err(Refused::EmptyResource);
            }
            if resource.len() > RESOURCE_LENGTH_MAX {
                return Err(Refused::LongResource);
            }
        }
        if self.resources.len() > 1 {
            let different: HashSet<_> = self.resources.iter().collect();
            if different.len() < self.resources.len() {
                return Err(Refused::ResourceTwice);
            }
        }
        Ok(())
    }

    fn fingerprint(&self) -> Fingerprint {
        let (mode, count, of) = match self.mode {
            Mode::Exclusive => (1, 0, 0),
            Mode::Shared => (2, 0, 0),
            Mode::Permits { count, of } => (3, count, of),
        };
        Fingerprint::of(Operation::Acquire)
            .texts(self.resources)
            .text(if self.is_owner_made_up { b"" } else { self.owner })
            .number(mode)
            .number(count.into())
            .number(of.into())
            .optional(self.ttl)
            .optional(self.session.map(|session| session.0))
            .number(self.is_reentrant.into())
            .text(self.meta)
    }
}

impl Core {
    /// LOCK.ACQUIRE and LOCK.MACQUIRE: grants the resources, has the request wait for them, or neither.
    ///
    /// # Errors
    /// If the request makes no sense, its session is not there, a limit is reached, or its id was used for another.
    pub fn acquire(
        &mut self,
        request: &Acquire<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        self.advance(now, events);
        request.check()?;
        if let Some(session) = request.session
            && self.sessions.get(&session).is_none_or(|session| session.is_lost)
        {
            return Err(Refused::NoSession);
        }
        let id = request.request.bind(|| request.fingerprint())?;
        if let Some(done) = self.done_before(&id)? {
            let again = self.again(done, request.resources, request.ttl, request.wait, events)?;
            return Ok(self.claim(again, Undo::Hold, &id));
        }
        let owner = self.owners.intern(request.owner);
        let resources: SmallVec<[usize; 1]> =
            request.resources.iter().map(|name| self.resources.intern(name)).collect();
        let result = self.acquire_named(request, id, owner, &resources, events);
        if !matches!(result, Ok(Acquired::Granted(_) | Acquired::Waiting(_))) {
            // Interner that were made for this request only go again.
            resources.iter().for_each(|&resource| self.forget_resource(resource));
            self.forget_owner(owner);
        }
        self.finish(events);
        result
    }

    fn acquire_named(
        &mut self,
        request: &Acquire<'_>,
        id: Bound,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        if let Mode::Permits { of, .. } = request.mode {
            resources.iter().for_each(|&resource| self.resize(resource, of, events));
        }
        // Nothing stands in the way of a request for what is neither held nor waited for, which most requests are.
        if resources.iter().all(|&resource| self.resources[resource].is_unused()) {
            return self.grant_now(request, &id, owner, resources, events);
        }
        let is_obstacle = |&&resource: &&usize| match request.mode {
            Mode::Permits { .. } if !request.is_reentrant => self.keeps_from(owner, resource, request.mode),
            _ => self.find_lease(resource, owner).is_some(),
        };
        if let Some(&resource) = resources.iter().find(is_obstacle) {
            return match request.is_reentrant {
                true => self.acquire_again(request, &id, owner, resources, events),
                false if request.wait == 0 => Ok(Acquired::Busy),
                false => Ok(self.refuse_own(owner, resource, events)),
            };
        }
        // Who waits for one of them already cannot hold it before its turn has come.
        let is_free = |&resource: &usize| {
            self.wait_for(resource, owner).is_none()
                && self.has_room(resource, None, |load| load.admits(request.mode))
        };
        if resources.iter().all(is_free) {
            return self.grant_now(request, &id, owner, resources, events);
        }
        if request.wait == 0 {
            return Ok(Acquired::Busy);
        }
        self.wait(
            Waiter {
                owner,
                kind: Kind::Acquire,
                resources: resources.into(),
                mode: request.mode,
                ttl: request.ttl,
                session: request.session,
                meta: request.meta.into(),
                request: id,
                since: self.now,
                deadline: self.now + request.wait * 1000,
            },
            events,
        )
    }

    /// Grants what nobody has to be waited for.
    fn grant_now(
        &mut self,
        request: &Acquire<'_>,
        id: &Bound,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        if self.leases.len() + resources.len() > LEASES_MAX {
            return Err(Refused::ManyLeases);
        }
        self.check_memory()?;
        let terms = Terms {
            owner,
            mode: request.mode,
            ttl: request.ttl,
            session: request.session,
            meta: request.meta,
            request: id,
            since: self.now,
        };
        Ok(Acquired::Granted(self.grant(&terms, resources, events)))
    }

    /// Has a request wait, unless that would close a circle.
    fn wait(&mut self, waiter: Waiter, events: &mut Events) -> Result<Acquired, Refused> {
        if let Some(other) = self.owners[waiter.owner].wait {
            // Were it two threads of control, one of them could end what the other waits for, and no circle were certain.
            let resource = self.waiters[&other].resources[0];
            return Err(Refused::OwnerWaits(self.resources.name(resource).into()));
        }
        if self.waiters.len() >= WAITERS_MAX {
            return Err(Refused::ManyWaiters);
        }
        self.check_memory()?;
        let is_full = |&resource: &usize| self.resources[resource].queue.len() >= WAITERS_PER_RESOURCE_MAX;
        if waiter.resources.iter().any(is_full) {
            return Err(Refused::ManyWaitersForResource);
        }
        let id = self.add_waiter(waiter, events);
        let Some(found) = deadlock::find(self, id) else { return Ok(Acquired::Waiting(id)) };
        Ok(Acquired::Deadlock(self.refuse_deadlock(id, found, events)))
    }

    fn refuse_deadlock(&mut self, id: WaiterId, found: Deadlock, events: &mut Events) -> Deadlock {
        let waiter = &self.waiters[&id];
        let (owner, resource) = (waiter.owner, waiter.resources[0]);
        self.notice(NoticeKind::Deadlock, resource, owner, 0, found.to_string().as_bytes(), events);
        self.remove_waiter(id);
        self.remember_deadlock(found.clone());
        found
    }

    /// Notes how many permits a resource has now.  If they are more than before, they are more for those who wait, too; if
    /// they are fewer, who waits keeps to what it has said, or else one of two could come to wait for the other unseen.
    /// So does a request for several resources, of which each has its own permits.
    fn resize(&mut self, resource: usize, size: u32, events: &mut Events) {
        let place = &mut self.resources[resource];
        if std::mem::replace(&mut place.permits, size) == size || place.permit_users == 0 {
            return;
        }
        place.most_permits = place.most_permits.max(size);
        for id in place.queue.iter() {
            if let Some(Waiter { mode: Mode::Permits { of, .. }, resources, .. }) = self.waiters.get_mut(id)
                && resources.len() == 1
            {
                *of = size.max(*of);
            }
        }
        self.settle(resource, events);
    }

    /// Whether what an owner holds of a resource itself keeps permits from it: other permits do if there are not so many.
    fn keeps_from(&self, owner: usize, resource: usize, wanted: Mode) -> bool {
        let mut own = Load::default();
        let held = self.find_leases(resource, owner).map(|id| self.leases[id].mode);
        held.for_each(|mode| own.add(mode));
        !own.admits(wanted)
    }

    /// Refuses a wait for what the owner holds itself.
    fn refuse_own(&mut self, owner: usize, resource: usize, events: &mut Events) -> Acquired {
        let found = Deadlock::of_one(self, owner, resource);
        self.notice(NoticeKind::Deadlock, resource, owner, 0, found.to_string().as_bytes(), events);
        self.remember_deadlock(found.clone());
        Acquired::Deadlock(found)
    }

    /// The owner holds some of the resources already, and may hold them once more.
    fn acquire_again(
        &mut self,
        request: &Acquire<'_>,
        id: &Bound,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        let held = resources.iter().map(|&resource| self.lease_for(request.mode, resource, owner));
        let held: SmallVec<[usize; 1]> = held.collect::<Option<_>>().ok_or(Refused::HeldInPart)?;
        // One fence stands for all that a request is given, and a lease keeps the fence that it has.
        let fence = self.leases[held[0]].fence;
        if held.iter().any(|&id| self.leases[id].fence != fence) {
            return Err(Refused::HeldInPart);
        }
        for &id in &held {
            self.check_holding_again(id, request.mode)?;
        }
        Ok(Acquired::Granted(self.hold_again(&held, request, id, events)))
    }

    /// The last lease of an owner on a resource, of so many permits if there is one.
    fn lease_for(&self, wanted: Mode, resource: usize, owner: usize) -> Option<usize> {
        let fits = |id: usize| self.leases[id].mode.is_like(wanted);
        self.find_leases(resource, owner).max_by_key(|&id| (fits(id), self.leases[id].fence))
    }

    fn check_holding_again(&self, id: usize, wanted: Mode) -> Result<(), Refused> {
        let Lease { mode, holds, .. } = self.leases[id];
        if !mode.is_like(wanted) && mode != Mode::Exclusive {
            return Err(Refused::OtherMode { held: mode, wanted });
        }
        if holds >= HOLDS_MAX {
            return Err(Refused::ManyHolds);
        }
        Ok(())
    }

    fn hold_again(
        &mut self,
        held: &[usize],
        request: &Acquire<'_>,
        id: &Bound,
        events: &mut Events,
    ) -> Grant {
        for &held in held {
            let lease = &mut self.leases[held];
            lease.holds += 1;
            let holds = lease.holds;
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds });
            if let Some(ttl) = request.ttl {
                self.extend_lease(held, ttl, events);
            }
        }
        let fence = self.leases[held[0]].fence;
        self.remember(id, Done::Granted(fence), events);
        self.counts.granted += 1;
        Grant { undo: Undo::Hold, request: id.key.clone(), ..self.grant_of_all(held) }
    }

    /// The answer to a request that was made before.  A lease that it was granted lasts at least `ttl` from now, since the
    /// client counts from then.
    fn again(
        &mut self,
        done: Done,
        resources: &[&[u8]],
        ttl: Option<u64>,
        wait: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        match done {
            Done::Granted(fence) => {
                let leases = resources.iter().map(|resource| self.lease_at(resource, fence));
                // A copy that comes late, of a request whose lease was given back, must not take it once more.
                let leases: SmallVec<[usize; 1]> =
                    leases.collect::<Option<_>>().ok_or(Refused::GrantEnded(fence))?;
                for &id in &leases {
                    if let Some(ttl) = ttl {
                        self.extend_lease(id, ttl, events);
                    }
                }
                let owner = self.owners.name(self.leases[leases[0]].owner);
                Ok(Acquired::Granted(Grant { owner: Some(owner.into()), ..self.grant_of_all(&leases) }))
            }
            Done::Waiting(_) if wait == 0 => Ok(Acquired::Busy),
            Done::Waiting(id) => {
                let deadline = self.now + wait * 1000;
                let waiter = self.waiters.get_mut(&id).expect("who stops waiting is forgotten");
                let old = std::mem::replace(&mut waiter.deadline, deadline);
                self.due.remove(&(old, Due::Waiter(id)));
                self.due.insert((deadline, Due::Waiter(id)));
                Ok(Acquired::Rejoined(id))
            }
            Done::Counted(_) | Done::Opened(_) => Err(Refused::RequestIdUsed),
        }
    }

    /// Has what a retry is granted stay until it has gone as well.
    fn claim(&mut self, mut acquired: Acquired, undo: Undo, request: &Bound) -> Acquired {
        if let Acquired::Granted(grant) = &mut acquired {
            (grant.undo, grant.request) = (undo, request.key.clone());
            for &id in &grant.leases {
                self.leases[id].claims += 1;
            }
        }
        acquired
    }

    /// The grant of a change that was made before.
    fn granted_before(&mut self, done: Done, resource: &[u8], events: &mut Events) -> Result<Grant, Refused> {
        match self.again(done, &[resource], None, 0, events)? {
            Acquired::Granted(grant) => Ok(grant),
            _ => Err(Refused::RequestIdUsed),
        }
    }

    /// LOCK.UPGRADE: has an owner that shares a resource, under `fence` if one is named, hold it alone under a new one.
    ///
    /// # Errors
    /// If the owner does not share it, the time to wait is out of range, a limit is reached, or the id of the request was
    /// used for another.
    pub fn upgrade(
        &mut self,
        upgrade: &Upgrade<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        let &Upgrade { resource, owner, fence, wait, request } = upgrade;
        self.advance(now, events);
        check_wait(wait)?;
        let request = request
            .bind(|| Fingerprint::of(Operation::Upgrade).text(resource).text(owner).optional(fence))?;
        if let Some(done) = self.done_before(&request)? {
            let again = self.again(done, &[resource], None, wait, events)?;
            return Ok(self.claim(again, Undo::Claim, &request));
        }
        let id = self.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
        let lease = &self.leases[id];
        let (owner, resource) = (lease.owner, lease.resource);
        match lease.mode {
            Mode::Exclusive => {
                let grant = self.grant_of(id);
                self.remember(&request, Done::Granted(grant.fence), events);
                return Ok(Acquired::Granted(grant));
            }
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refused::UpgradeOfPermits),
        }
        let result = if self.resources[resource].load.admits_upgrade() {
            let grant = self.make_exclusive(owner, resource, self.now, events);
            self.remember(&request, Done::Granted(grant.fence), events);
            Ok(Acquired::Granted(Grant { request: request.key, ..grant }))
        } else if wait == 0 {
            Ok(Acquired::Busy)
        } else {
            let waiter = Waiter {
                owner,
                kind: Kind::Upgrade,
                resources: [resource].into_iter().collect(),
                mode: Mode::Exclusive,
                ttl: None,
                session: self.leases[id].session(),
                meta: Box::default(),
                request,
                since: self.now,
                deadline: self.now + wait * 1000,
            };
            self.wait(waiter, events)
        };
        self.finish(events);
        result
    }

    /// Turns a shared lease into one that is held alone.  The fence is a new one: others that shared the resource may
    /// have had later ones than this lease had.
    pub(super) fn make_exclusive(
        &mut self,
        owner: usize,
        resource: usize,
        since: u64,
        events: &mut Events,
    ) -> Grant {
        let id = self.find_lease(resource, owner).expect("an upgrade ends with its lease");
        let fence = self.fences.take();
        let before = self.leases[id].fence;
        self.change_mode(id, Mode::Exclusive, fence, events);
        self.counts.granted += 1;
        self.notice(NoticeKind::Acquired, resource, owner, fence, b"", events);
        let waited = (self.now - since) / 1000;
        Grant { waited, undo: Undo::Upgrade(before), ..self.grant_of(id) }
    }

    pub(super) fn change_mode(&mut self, id: usize, mode: Mode, fence: u64, events: &mut Events) {
        let lease = &mut self.leases[id];
        let load = &mut self.resources[lease.resource].load;
        load.remove(lease.mode);
        load.add(mode);
        (lease.mode, lease.fence) = (mode, fence);
        let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
        events.record(&Record::ModeChanged { owner, resource, mode, fence });
        self.touched.push_back(lease.resource);
    }

    /// LOCK.DOWNGRADE: has an owner that holds a resource alone, under `fence` if one is named, share it under the same.
    ///
    /// # Errors
    /// If the owner does not hold it, or holds permits, or the id of the request was used for another.
    pub fn downgrade(
        &mut self,
        downgrade: &Downgrade<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Grant, Refused> {
        let &Downgrade { resource, owner, fence, request } = downgrade;
        self.advance(now, events);
        let request = request
            .bind(|| Fingerprint::of(Operation::Downgrade).text(resource).text(owner).optional(fence))?;
        if let Some(done) = self.done_before(&request)? {
            return self.granted_before(done, resource, events);
        }
        let id = self.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
        let lease = &self.leases[id];
        match lease.mode {
            Mode::Exclusive => self.change_mode(id, Mode::Shared, lease.fence, events),
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refused::DowngradeOfPermits),
        }
        let grant = self.grant_of(id);
        self.remember(&request, Done::Granted(grant.fence), events);
        self.finish(events);
        Ok(grant)
    }
}
