//! Asking for resources: at once, in turn, or not at all.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::core::{Core, Terms};
use super::deadlock::{self, Deadlock, shown};
use super::events::{Events, Grant, NoticeKind, WaiterId};
use super::leases::Lease;
use super::limits::{
    HOLDS_MAX, LEASES_MAX, META_LENGTH_MAX, OWNER_LENGTH_MAX, PERMITS_MAX, REQUEST_ID_LENGTH_MAX,
    RESOURCE_LENGTH_MAX, RESOURCES_PER_REQUEST_MAX, TTL_MAX, WAIT_MAX, WAITERS_MAX, WAITERS_PER_RESOURCE_MAX,
};
use super::modes::Mode;
use super::records::Record;
use super::request_ids::{self, Done};
use super::sessions::SessionId;
use super::waiters::{Kind, Waiter};
use crate::refusal::Refusal;

/// What an owner asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub owner: &'a [u8],
    /// What for: all of them or none.
    pub resources: &'a [&'a [u8]],
    /// How they are to be held.
    pub mode: Mode,
    /// How long the leases last, in milliseconds; none if as long as the session.
    pub ttl: Option<u64>,
    /// How long to wait, in milliseconds; 0 for not at all.
    pub wait: u64,
    /// Whether holding it already is no obstacle.
    pub is_reentrant: bool,
    /// The session that keeps the leases.
    pub session: Option<SessionId>,
    /// What others are to know about the holder.
    pub meta: &'a [u8],
    /// Names the request, so that it can be repeated; empty for none.
    pub request: &'a [u8],
}

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
pub(super) fn check_ttl(ttl: u64) -> Result<(), Refusal> {
    if ttl == 0 || ttl > TTL_MAX {
        return Err(Refusal::new(format!("ERR TTL must be between 1 and {TTL_MAX} milliseconds")));
    }
    Ok(())
}

fn check_length(what: &str, bytes: &[u8], most: usize) -> Result<(), Refusal> {
    if bytes.len() > most {
        return Err(Refusal::new(format!("ERR {what} is longer than {most} bytes")));
    }
    Ok(())
}

/// Refuses a name that is none, too: it comes from a variable that was never set, and all who make that mistake would be one
/// owner, or lock one another out.
fn check_name(what: &str, bytes: &[u8], most: usize) -> Result<(), Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::new(format!("ERR {what} is empty")));
    }
    check_length(what, bytes, most)
}

fn check_wait(wait: u64) -> Result<(), Refusal> {
    if wait > WAIT_MAX {
        return Err(Refusal::new(format!("ERR WAIT must be at most {WAIT_MAX} milliseconds")));
    }
    Ok(())
}

impl Request<'_> {
    /// What can be said without looking at the table.
    fn check(&self) -> Result<(), Refusal> {
        check_name("the owner", self.owner, OWNER_LENGTH_MAX)?;
        check_length("META", self.meta, META_LENGTH_MAX)?;
        check_length("REQID", self.request, REQUEST_ID_LENGTH_MAX)?;
        check_wait(self.wait)?;
        match self.ttl {
            Some(ttl) => check_ttl(ttl)?,
            None if self.session.is_some() => {}
            None => return Err(Refusal::new("ERR a lease needs TTL, or SESSION")),
        }
        if let Mode::Permits { count, of } = self.mode
            && (count == 0 || count > of || of > PERMITS_MAX)
        {
            return Err(Refusal::new(format!(
                "ERR PERMITS must be between 1 and their number, which is at most {PERMITS_MAX}"
            )));
        }
        if self.resources.is_empty() || self.resources.len() > RESOURCES_PER_REQUEST_MAX {
            return Err(Refusal::new(format!(
                "ERR a request names between 1 and {RESOURCES_PER_REQUEST_MAX} resources"
            )));
        }
        for resource in self.resources {
            check_name("the name of a resource", resource, RESOURCE_LENGTH_MAX)?;
        }
        if self.resources.len() > 1 {
            let different: HashSet<_> = self.resources.iter().collect();
            if different.len() < self.resources.len() {
                return Err(Refusal::new("ERR a resource is named twice"));
            }
        }
        Ok(())
    }
}

impl Core {
    /// LOCK.ACQUIRE and LOCK.MACQUIRE: grants the resources, has the request wait for them, or neither.
    ///
    /// # Errors
    /// If the request makes no sense, its session is not there, or a limit is reached.
    pub fn acquire(
        &mut self,
        request: &Request<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refusal> {
        self.advance(now, events);
        request.check()?;
        if let Some(session) = request.session
            && self.sessions.get(&session).is_none_or(|session| session.is_lost)
        {
            return Err(Refusal::NO_LOCK_SESSION);
        }
        if !request.request.is_empty()
            && let Some(again) = self.again(request, events)
        {
            return again;
        }
        let owner = self.owners.intern(request.owner);
        let resources: SmallVec<[usize; 1]> =
            request.resources.iter().map(|name| self.resources.intern(name)).collect();
        let result = self.acquire_named(request, owner, &resources, events);
        if !matches!(result, Ok(Acquired::Granted(_) | Acquired::Waiting(_))) {
            // Names that were made for this request only go again.
            resources.iter().for_each(|&resource| self.forget_resource(resource));
            self.forget_owner(owner);
        }
        self.finish(events);
        result
    }

    fn acquire_named(
        &mut self,
        request: &Request<'_>,
        owner: usize,
        resources: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refusal> {
        let held: SmallVec<[usize; 1]> =
            resources.iter().filter_map(|&resource| self.find_lease(resource, owner)).collect();
        if !held.is_empty() {
            return self.acquire_again(request, &held, events);
        }
        for &resource in resources {
            let resource = &self.resources[resource];
            if let Mode::Permits { of, .. } = request.mode
                && resource.permit_users > 0
                && resource.permits != of
            {
                let permits = resource.permits;
                return Err(Refusal::new(format!("LOCKMODE the semaphore has {permits} permits, not {of}")));
            }
        }
        // Who waits for one of them already cannot hold it before its turn has come.
        let is_free = |&resource: &usize| {
            self.wait_for(resource, owner).is_none()
                && self.has_room(resource, None, |load| load.admits(request.mode))
        };
        if resources.iter().all(is_free) {
            if self.leases.len() + resources.len() > LEASES_MAX {
                return Err(Refusal::new(format!("LOCKFULL there are {LEASES_MAX} leases already")));
            }
            let terms = Terms {
                owner,
                mode: request.mode,
                ttl: request.ttl,
                session: request.session,
                meta: request.meta,
                request: request.request,
                since: self.now,
            };
            return Ok(Acquired::Granted(self.grant(&terms, resources, events)));
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
                request: request.request.into(),
                since: self.now,
                deadline: self.now + request.wait * 1000,
            },
            events,
        )
    }

    /// Has a request wait, unless that would close a circle.
    fn wait(&mut self, waiter: Waiter, events: &mut Events) -> Result<Acquired, Refusal> {
        if let Some(other) = self.owners[waiter.owner].wait {
            // Were it two threads of control, one of them could end what the other waits for, and no circle were certain.
            let resource = shown(self.resources.name(self.waiters[&other].resources[0]));
            return Err(Refusal::new(format!(
                "LOCKWAITS the owner waits for {resource} already: each thread of control needs an owner of its own, \
                 and a retry the REQID of the request"
            )));
        }
        if self.waiters.len() >= WAITERS_MAX {
            return Err(Refusal::new(format!("LOCKFULL {WAITERS_MAX} requests wait already")));
        }
        let is_full = |&resource: &usize| self.resources[resource].queue.len() >= WAITERS_PER_RESOURCE_MAX;
        if waiter.resources.iter().any(is_full) {
            return Err(Refusal::new(format!(
                "LOCKFULL {WAITERS_PER_RESOURCE_MAX} requests wait for the resource already"
            )));
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

    /// The owner holds some of the resources already.
    fn acquire_again(
        &mut self,
        request: &Request<'_>,
        held: &[usize],
        events: &mut Events,
    ) -> Result<Acquired, Refusal> {
        let lease = &self.leases[held[0]];
        if request.is_reentrant {
            // One fence stands for all that a request is given, and a lease keeps the fence that it has.
            if held.len() < request.resources.len()
                || held.iter().any(|&id| self.leases[id].fence != lease.fence)
            {
                return Err(Refusal::new(
                    "LOCKMODE the owner holds some of the resources, and not all of them under one fence",
                ));
            }
            for &id in held {
                self.check_holding_again(id, request.mode)?;
            }
            return Ok(Acquired::Granted(self.hold_again(held, request, events)));
        }
        if request.wait == 0 {
            return Ok(Acquired::Busy);
        }
        // It would wait for itself.
        let found = Deadlock::of_one(self, lease.owner, lease.resource);
        self.notice(
            NoticeKind::Deadlock,
            lease.resource,
            lease.owner,
            0,
            found.to_string().as_bytes(),
            events,
        );
        self.remember_deadlock(found.clone());
        Ok(Acquired::Deadlock(found))
    }

    fn check_holding_again(&self, id: usize, wanted: Mode) -> Result<(), Refusal> {
        let Lease { mode, holds, .. } = self.leases[id];
        if mode != wanted && mode != Mode::Exclusive {
            let (held, wanted) = (mode.word(), wanted.word());
            return Err(Refusal::new(format!(
                "LOCKMODE the owner holds the resource in mode {held}, not {wanted}"
            )));
        }
        if holds >= HOLDS_MAX {
            return Err(Refusal::new(format!("LOCKFULL the owner holds the resource {HOLDS_MAX} times")));
        }
        Ok(())
    }

    fn hold_again(&mut self, held: &[usize], request: &Request<'_>, events: &mut Events) -> Grant {
        for &id in held {
            let lease = &mut self.leases[id];
            lease.holds += 1;
            let holds = lease.holds;
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Holds { owner, resource, holds, request: request.request });
            if let Some(ttl) = request.ttl {
                self.extend_lease(id, ttl, events);
            }
        }
        let fence = self.leases[held[0]].fence;
        self.request_ids.remember(request.owner, request.request, Done::Granted(fence), self.now);
        self.counts.granted += 1;
        self.grant_of_all(held)
    }

    /// What a request came to that was made before under the same id.
    fn again(&mut self, request: &Request<'_>, events: &mut Events) -> Option<Result<Acquired, Refusal>> {
        match self.request_ids.find(request_ids::Kind::Acquire, request.owner, request.request)? {
            Done::Granted(fence) => {
                let lease_of = |resource: &&[u8]| {
                    let id = self.lease_of(resource, request.owner)?;
                    (self.leases[id].fence == fence).then_some(id)
                };
                let leases: Option<SmallVec<[usize; 1]>> = request.resources.iter().map(lease_of).collect();
                let Some(leases) = leases else {
                    // A copy that comes late, of a request whose lease was given back, must not take it once more.
                    return Some(Err(Refusal::new(format!(
                        "NOTHELD the request was granted under fence {fence}, and that has ended"
                    ))));
                };
                for &id in &leases {
                    self.leases[id].is_claimed = true;
                    if let Some(ttl) = request.ttl {
                        self.extend_lease(id, ttl, events);
                    }
                }
                Some(Ok(Acquired::Granted(self.grant_of_all(&leases))))
            }
            Done::Waiting(id) => {
                let waiter = self.waiters.get_mut(&id)?;
                let named = request.resources.iter().map(|name| self.resources.find(name));
                if waiter.mode != request.mode || !named.eq(waiter.resources.iter().map(|&id| Some(id))) {
                    return Some(Err(Refusal::new(
                        "LOCKWAITS another request of the owner waits under this REQID: each request needs its own",
                    )));
                }
                if request.wait == 0 {
                    return Some(Ok(Acquired::Busy));
                }
                let deadline = self.now + request.wait * 1000;
                let old = std::mem::replace(&mut waiter.deadline, deadline);
                self.due.remove(&(old, super::core::Due::Waiter(id)));
                self.due.insert((deadline, super::core::Due::Waiter(id)));
                Some(Ok(Acquired::Rejoined(id)))
            }
            Done::Released(_) => None,
        }
    }

    /// LOCK.UPGRADE: has an owner that shares a resource, under `fence` if one is named, hold it alone under a new one.
    ///
    /// # Errors
    /// If the owner does not share it, the time to wait is out of range, or a limit is reached.
    pub fn upgrade(
        &mut self,
        (resource, owner): (&[u8], &[u8]),
        fence: Option<u64>,
        wait: u64,
        now: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refusal> {
        self.advance(now, events);
        check_wait(wait)?;
        let id = self.lease_under(resource, owner, fence).ok_or(Refusal::LOCK_NOT_HELD)?;
        let lease = &self.leases[id];
        let (owner, resource) = (lease.owner, lease.resource);
        match lease.mode {
            Mode::Exclusive => return Ok(Acquired::Granted(self.grant_of(id))),
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refusal::new("LOCKMODE permits cannot be upgraded")),
        }
        let result = if self.resources[resource].load.admits_upgrade() {
            Ok(Acquired::Granted(self.make_exclusive(owner, resource, self.now, events)))
        } else if wait == 0 {
            Ok(Acquired::Busy)
        } else {
            let waiter = Waiter {
                owner,
                kind: Kind::Upgrade,
                resources: [resource].into_iter().collect(),
                mode: Mode::Exclusive,
                ttl: None,
                session: self.leases[id].session,
                meta: Box::default(),
                request: Box::default(),
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
        Grant { waited, upgraded_from: Some(before), ..self.grant_of(id) }
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
    /// If the owner does not hold it, or holds permits.
    pub fn downgrade(
        &mut self,
        resource: &[u8],
        owner: &[u8],
        fence: Option<u64>,
        now: u64,
        events: &mut Events,
    ) -> Result<Grant, Refusal> {
        self.advance(now, events);
        let id = self.lease_under(resource, owner, fence).ok_or(Refusal::LOCK_NOT_HELD)?;
        let lease = &self.leases[id];
        match lease.mode {
            Mode::Exclusive => self.change_mode(id, Mode::Shared, lease.fence, events),
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refusal::new("LOCKMODE permits cannot be downgraded")),
        }
        let grant = self.grant_of(id);
        self.finish(events);
        Ok(grant)
    }
}
