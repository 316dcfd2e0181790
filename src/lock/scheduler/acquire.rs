//! Acquiring resources: at once, in turn, or not at all.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{Core, check_ttl, check_wait, deadlocks};
use crate::lock::grant::{Grant, Withdrawal};
use crate::lock::limits::{
    HOLDS_MAX, LEASES_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, PERMITS_MAX, RESOURCE_LENGTH_MAX,
    RESOURCES_PER_REQUEST_MAX,
};
use crate::lock::mode::Mode;
use crate::lock::model::events::Events;
use crate::lock::model::grants::GrantTerms;
use crate::lock::model::idempotency::{Bound, Done, Fingerprint, OperationKind};
use crate::lock::model::lease::Lease;
use crate::lock::model::waiter::{WaitKind, Waiter};
use crate::lock::notice::NoticeKind;
use crate::lock::operation::Acquire;
use crate::lock::outcome::Acquired;
use crate::lock::records::Record;
use crate::lock::refused::Refused;

impl Acquire<'_> {
    /// Checks the request by itself.  An empty name comes from a variable that was never set: all clients that make
    /// this mistake would be one owner, or lock one another out.
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
        Fingerprint::of(OperationKind::Acquire)
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
    /// If the request is invalid, its session is not there, a limit is reached, or its id was used for another request.
    pub fn acquire(
        &mut self,
        request: &Acquire<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        self.advance(now, events);
        request.check()?;
        if let Some(session) = request.session
            && self.model.sessions.get(&session).is_none_or(|session| session.is_lost)
        {
            return Err(Refused::NoSession);
        }
        let id = request.request.bind(|| request.fingerprint())?;
        if let Some(done) = self.model.done_before(&id)? {
            let again = self.again(done, request.resources, request.ttl, request.wait, events)?;
            return Ok(self.claim(again, Withdrawal::Hold, &id));
        }
        let owner = self.model.owners.intern(request.owner);
        let resources: SmallVec<[usize; 1]> =
            request.resources.iter().map(|name| self.model.resources.intern(name)).collect();
        let result = self.acquire_named(request, id, owner, &resources, events);
        if !matches!(result, Ok(Acquired::Granted(_) | Acquired::Waiting(_))) {
            // Names that were interned for this request only are removed.
            resources.iter().for_each(|&resource| self.model.forget_resource(resource));
            self.model.forget_owner(owner);
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
        // Most requests are for resources that nobody holds or waits for: nothing is in their way.
        if resources.iter().all(|&resource| self.model.resources[resource].is_unused()) {
            return self.grant_now(request, &id, owner, resources, events);
        }
        let is_obstacle = |&&resource: &&usize| match request.mode {
            Mode::Permits { .. } if !request.is_reentrant => {
                self.model.keeps_from(owner, resource, request.mode)
            }
            _ => self.model.find_lease(resource, owner).is_some(),
        };
        if let Some(&resource) = resources.iter().find(is_obstacle) {
            return match request.is_reentrant {
                true => self.acquire_again(request, &id, owner, resources, events),
                false if request.wait == 0 => Ok(Acquired::Busy),
                false => Ok(self.refuse_own(owner, resource, events)),
            };
        }
        // An owner that waits for one of them already cannot hold it before its turn.
        let is_free = |&resource: &usize| {
            self.model.wait_for(resource, owner).is_none()
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
                kind: WaitKind::Acquire,
                resources: resources.into(),
                mode: request.mode,
                ttl: request.ttl,
                session: request.session,
                meta: request.meta.into(),
                request: id,
                since: self.model.now,
                deadline: self.model.now + request.wait * 1000,
            },
            events,
        )
    }

    /// Grants resources that the request need not wait for.
    fn grant_now(
        &mut self,
        request: &Acquire<'_>,
        id: &Bound,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        if self.model.leases.len() + resources.len() > LEASES_MAX {
            return Err(Refused::ManyLeases);
        }
        self.model.check_memory()?;
        let terms = GrantTerms {
            owner,
            mode: request.mode,
            ttl: request.ttl,
            session: request.session,
            meta: request.meta,
            request: id,
            since: self.model.now,
        };
        Ok(Acquired::Granted(self.model.grant(&terms, resources, events)))
    }

    /// Notes how many permits a resource has now.  A larger total counts for the waiters too.  With a smaller one they
    /// keep to the total that they named, or one of two waiters could come to wait for the other unseen.  So does a
    /// request for several resources, each of which has its own permits.
    fn resize(&mut self, resource: usize, size: u32, events: &mut Events) {
        let held = &mut self.model.resources[resource];
        if std::mem::replace(&mut held.permits, size) == size || held.permit_users == 0 {
            return;
        }
        held.most_permits = held.most_permits.max(size);
        for id in held.queue.iter() {
            if let Some(Waiter { mode: Mode::Permits { of, .. }, resources, .. }) =
                self.model.waiters.get_mut(id)
                && resources.len() == 1
            {
                *of = size.max(*of);
            }
        }
        self.settle(resource, events);
    }

    /// Refuses a wait of an owner for itself.
    fn refuse_own(&mut self, owner: usize, resource: usize, events: &mut Events) -> Acquired {
        let found = deadlocks::of_one(&self.model, owner, resource);
        self.model.notice(NoticeKind::Deadlock, resource, owner, 0, found.to_string().as_bytes(), events);
        self.model.remember_deadlock(found.clone());
        Acquired::Deadlock(found)
    }

    /// Acquires resources once more that the owner holds.
    fn acquire_again(
        &mut self,
        request: &Acquire<'_>,
        id: &Bound,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        let held = resources.iter().map(|&resource| self.model.lease_for(request.mode, resource, owner));
        let held: SmallVec<[usize; 1]> = held.collect::<Option<_>>().ok_or(Refused::HeldInPart)?;
        // A request gets one fence for all, and a lease keeps its fence.
        let fence = self.model.leases[held[0]].fence;
        if held.iter().any(|&id| self.model.leases[id].fence != fence) {
            return Err(Refused::HeldInPart);
        }
        for &id in &held {
            self.check_holding_again(id, request.mode)?;
        }
        Ok(Acquired::Granted(self.hold_again(&held, request, id, events)))
    }

    fn check_holding_again(&self, id: usize, wanted: Mode) -> Result<(), Refused> {
        let Lease { mode, holds, .. } = self.model.leases[id];
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
            let lease = &mut self.model.leases[held];
            lease.holds += 1;
            let holds = lease.holds;
            let (owner, resource) =
                (self.model.owners.name(lease.owner), self.model.resources.name(lease.resource));
            events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds });
            if let Some(ttl) = request.ttl {
                self.model.extend_lease(held, ttl, events);
            }
        }
        let fence = self.model.leases[held[0]].fence;
        self.model.remember(id, Done::Granted(fence), events);
        self.model.counts.granted += 1;
        Grant { withdrawal: Withdrawal::Hold, request: id.key.clone(), ..self.model.grant_of_all(held) }
    }
}
