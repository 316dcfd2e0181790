//! The table of locks: who holds what, who waits for what, and what falls due when.
//!
//! It does no I/O and reads no clock: time comes in as microseconds of the server's clock, and what is to be told
//! goes into [`Events`].  Its operations are in the files of what they are about; here is what they share.
//!
//! Who may go next follows one rule: a request is granted once everything it asks for fits beside what is held and
//! beside what the requests ahead of it in the same queues ask for.  So nobody is overtaken by a request that would
//! keep it waiting, writers do not starve, and those who share go together.

use std::collections::{BTreeSet, HashMap, VecDeque};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::counts::Counts;
use super::deadlock::Deadlock;
use super::events::{Events, Grant, Notice, NoticeKind, Outcome, Undo, WaiterId};
use super::fences::Fences;
use super::idempotency::{Bound, Done, RequestIds};
use super::interner::Interner;
use super::keeping::Durability;
use super::leases::Lease;
use super::modes::{Load, Mode};
use super::queue::Queue;
use super::records::{Granted, Record};
use super::sessions::{Session, SessionId};
use super::slots::Slots;
use super::waiters::{Kind, Waiter};

/// What can be locked, as long as it is held or waited for.
#[derive(Default)]
pub(super) struct Resource {
    /// What is held.
    pub(super) load: Load,
    pub(super) holders: SmallVec<[usize; 2]>,
    /// Who waits, in the order of their turns.
    pub(super) queue: Queue,
    /// How many permits there are, as the last request for some has said.
    pub(super) permits: u32,
    /// The most that one of its users has said there are, while anybody uses any.
    pub(super) most_permits: u32,
    pub(super) permit_users: u32,
}

impl Resource {
    /// Whether it is neither held nor waited for.
    #[inline]
    pub(super) fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }
}

/// Who holds or waits: one thread of control, which waits for one thing at a time.
#[derive(Default)]
pub(super) struct Owner {
    pub(super) leases: SmallVec<[usize; 2]>,
    pub(super) wait: Option<WaiterId>,
}

/// What can fall due besides leases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    Session(SessionId),
    Waiter(WaiterId),
}

/// What is granted, without the resources.
pub(super) struct Terms<'a> {
    pub(super) owner: usize,
    pub(super) mode: Mode,
    /// Milliseconds.
    pub(super) ttl: Option<u64>,
    pub(super) session: Option<SessionId>,
    pub(super) meta: &'a [u8],
    pub(super) request: &'a Bound,
    /// When it was asked for.
    pub(super) since: u64,
}

/// See the module's text.
#[derive(Default)]
pub struct Core {
    pub(super) resources: Interner<Resource>,
    pub(super) owners: Interner<Owner>,
    pub(super) leases: Slots<Lease>,
    pub(super) waiters: HashMap<WaiterId, Waiter, RandomState>,
    pub(super) sessions: HashMap<SessionId, Session, RandomState>,
    /// The sessions that are bound to each connection.
    pub(super) connections: HashMap<u64, Vec<SessionId>, RandomState>,
    pub(super) due: BTreeSet<(u64, Due)>,
    /// When leases end, and their numbers.
    pub(super) leases_due: BTreeSet<(u64, u32)>,
    pub(super) fences: Fences,
    pub(super) request_ids: RequestIds,
    pub(super) deadlocks: VecDeque<Deadlock>,
    pub(super) counts: Counts,
    /// Resources where somebody's turn may have come.
    pub(super) touched: VecDeque<usize>,
    pub(super) now: u64,
    pub(super) last_waiter: u64,
    /// What is replayed may be in the snapshot already.
    pub(super) replays_seen: bool,
    /// Bytes of what holders and waiters say about themselves.
    pub(super) meta_bytes: usize,
    /// Bytes beyond which nothing is added; 0 for no limit.
    pub(super) memory_limit: usize,
}

impl Core {
    /// Has the next fence be larger than `fence`.
    pub fn skip_fences_to(&mut self, fence: u64) {
        self.fences.skip_to(fence);
    }

    /// The last fence that was given out.
    pub(super) fn last_fence(&self) -> u64 {
        self.fences.last()
    }

    /// Every fence that was given out, now or by an earlier server, is at most this.
    pub(super) fn fence_bound(&self) -> u64 {
        self.fences.upto()
    }

    /// From here on fences are given out of ranges, each of which is written down before it is used up.
    pub fn reserve_fences(&mut self) {
        self.fences.reserve_ranges();
    }

    /// The earliest time, in microseconds, at which something falls due.
    pub fn next_deadline(&self) -> Option<u64> {
        let lease = self.leases_due.first().map(|(at, _)| *at);
        let other = self.due.first().map(|(at, _)| *at);
        match (lease, other) {
            (Some(lease), Some(other)) => Some(lease.min(other)),
            _ => lease.or(other),
        }
    }

    /// Does all that has fallen due.  Every operation begins with it, so that none sees a lease beyond its time.
    /// Time that runs back, between two threads, stands still instead.
    ///
    /// All leases and sessions whose time is over end before anything is granted, and waits after that: however late
    /// this comes, nothing is granted on a lease that is over or to a session that is, and nobody waits in vain for a
    /// lease that has ended.
    pub fn advance(&mut self, now: u64, events: &mut Events) {
        self.now = self.now.max(now);
        if self.next_deadline().is_some_and(|at| at <= self.now) {
            self.end_what_is_due(events);
        }
    }

    #[cold]
    fn end_what_is_due(&mut self, events: &mut Events) {
        let mut over: SmallVec<[WaiterId; 4]> = SmallVec::new();
        let mut has_ended = false;
        while let Some(&(at, lease)) = self.leases_due.first()
            && at <= self.now
        {
            self.leases_due.pop_first();
            has_ended = true;
            self.expire_lease(lease as usize, events);
        }
        while let Some(&(at, due)) = self.due.first()
            && at <= self.now
        {
            self.due.pop_first();
            has_ended = true;
            match due {
                Due::Session(session) => self.session_due(session, events),
                Due::Waiter(waiter) => over.push(waiter),
            }
        }
        if has_ended {
            self.finish(events);
        }
        // One after the other: the end of one wait may be the turn of the next.
        for waiter in over {
            if self.waiters.contains_key(&waiter) {
                self.time_out(waiter, events);
                self.finish(events);
            }
        }
    }

    /// The end of every operation: grants what can be granted now, and asks for the next range of fences.
    pub(super) fn finish(&mut self, events: &mut Events) {
        while let Some(resource) = self.touched.pop_front() {
            let Some(place) = self.resources.get(resource) else { continue };
            if !place.queue.is_empty() {
                self.settle(resource, events);
            }
            self.forget_resource(resource);
        }
        if let Some(upto) = self.fences.next_range() {
            events.record(&Record::FenceRange { upto });
        }
    }

    /// Goes through a queue and grants what the rule allows.
    pub(super) fn settle(&mut self, id: usize, events: &mut Events) {
        let (mut load, most_permits) = (self.resources[id].load, self.resources[id].most_permits);
        let mut place = 0;
        while !load.is_full(most_permits) {
            let Some(waiter_id) = self.resources[id].queue.get(place) else { return };
            let waiter = &self.waiters[&waiter_id];
            let (kind, mode) = (waiter.kind, waiter.mode);
            if waiter.fits(&load) && self.fits_elsewhere(waiter_id, waiter, id) {
                if kind == Kind::Upgrade {
                    load.remove(Mode::Shared);
                }
                self.grant_waiter(waiter_id, events);
                load.add(mode);
            } else {
                place += 1;
                load.add_ahead(mode);
            }
        }
    }

    /// Whether a waiter fits into all its other resources.  Most that do not are told by what is held, without a look at
    /// the queues.
    fn fits_elsewhere(&self, id: WaiterId, waiter: &Waiter, here: usize) -> bool {
        let mut others = waiter.resources.iter().filter(|&&resource| resource != here);
        others.clone().all(|&resource| waiter.fits(&self.resources[resource].load))
            && others.all(|&resource| self.has_room(resource, Some(id), |load| waiter.fits(load)))
    }

    /// Whether something fits beside what is held of a resource and asked for ahead of a waiter, or of the end of the
    /// queue.  What does not fit beside a load does not fit beside more.
    pub(super) fn has_room(
        &self,
        resource: usize,
        end: Option<WaiterId>,
        fits: impl Fn(&Load) -> bool,
    ) -> bool {
        let resource = &self.resources[resource];
        let mut load = resource.load;
        let mut ahead = resource.queue.iter().take_while(|&&waiter| Some(waiter) != end);
        fits(&load)
            && ahead.all(|waiter| {
                load.add_ahead(self.waiters[waiter].mode);
                fits(&load)
            })
    }

    fn grant_waiter(&mut self, id: WaiterId, events: &mut Events) {
        let waiter = self.take_waiter(id);
        if matches!(waiter.mode, Mode::Permits { .. }) && waiter.resources.len() > 1 {
            // Those behind it may be told that there are more permits than it was.
            self.touched.extend(&waiter.resources);
        }
        let mut grant = match waiter.kind {
            Kind::Upgrade => {
                let grant = self.make_exclusive(waiter.owner, waiter.resources[0], waiter.since, events);
                self.remember(&waiter.request, Done::Granted(grant.fence), events);
                grant
            }
            Kind::Acquire => {
                let terms = Terms {
                    owner: waiter.owner,
                    mode: waiter.mode,
                    ttl: waiter.ttl,
                    session: waiter.session,
                    meta: &waiter.meta,
                    request: &waiter.request,
                    since: waiter.since,
                };
                self.grant(&terms, &waiter.resources, events)
            }
        };
        if !waiter.request.is_none() {
            grant.owner = Some(self.owners.name(waiter.owner).into());
        }
        grant.request = waiter.request.key;
        events.answer(id, Outcome::Granted(grant));
    }

    /// Gives resources to an owner, all under one fence.
    pub(super) fn grant(&mut self, terms: &Terms<'_>, resources: &[usize], events: &mut Events) -> Grant {
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
            undo: Undo::Hold,
            owner: None,
            request: terms.request.key.clone(),
        }
    }

    /// Notes what happened for those who listen; `resource` and `owner` still have their names.
    #[inline]
    pub(super) fn notice(
        &self,
        kind: NoticeKind,
        resource: usize,
        owner: usize,
        fence: u64,
        reason: &[u8],
        events: &mut Events,
    ) {
        if events.wants_notices {
            self.add_notice(kind, resource, owner, fence, reason, events);
        }
    }

    fn add_notice(
        &self,
        kind: NoticeKind,
        resource: usize,
        owner: usize,
        fence: u64,
        reason: &[u8],
        events: &mut Events,
    ) {
        events.notices.push(Notice {
            kind,
            resource: self.resources.name(resource).into(),
            owner: self.owners.name(owner).into(),
            fence,
            waiters: self.resources[resource].queue.len(),
            reason: reason.into(),
        });
    }

    /// Forgets an owner that neither holds nor waits.
    pub(super) fn forget_owner(&mut self, id: usize) {
        if self.owners.get(id).is_some_and(|owner| owner.leases.is_empty() && owner.wait.is_none()) {
            self.owners.remove(id);
        }
    }

    /// Forgets a resource that is neither held nor waited for.
    pub(super) fn forget_resource(&mut self, id: usize) {
        if self.resources.get(id).is_some_and(Resource::is_unused) {
            self.resources.remove(id);
        }
    }
}
