//! The scheduler: the model, and whose turn it is.
//!
//! One rule decides: a request is granted once everything it asks for fits beside what is held and beside what the
//! requests ahead of it in the same queues ask for.  So no request is overtaken by one that would keep it waiting,
//! writers do not starve, and sharing requests go together.
//!
//! It does no I/O and reads no clock: time comes in as microseconds of the server's clock, and what an operation leaves
//! besides its result goes into [`Events`].  This file has the parts that all operations share; each is in the file of its
//! subject.

mod acquire;
mod deadlocks;
mod modes;
mod release;
mod renew;
mod reports;
mod retries;
mod sessions;
mod waits;
mod withdrawal;

use smallvec::SmallVec;

use super::identifiers::WaiterId;
use super::limits::{TTL_MAX, WAIT_MAX};
use super::mode::Mode;
use super::model::events::Events;
use super::model::grants::GrantTerms;
use super::model::idempotency::Done;
use super::model::load::Load;
use super::model::waiter::{WaitKind, Waiter};
use super::model::{Due, Model};
use super::outcome::Outcome;
use super::records::Record;
use super::refused::Refused;

/// Refuses a time that no lease may have.
pub(super) fn check_ttl(ttl: u64) -> Result<(), Refused> {
    if ttl == 0 || ttl > TTL_MAX { Err(Refused::Ttl) } else { Ok(()) }
}

fn check_wait(wait: u64) -> Result<(), Refused> {
    if wait > WAIT_MAX { Err(Refused::Wait) } else { Ok(()) }
}

/// See the module's text.
#[derive(Default)]
pub struct Core {
    pub(super) model: Model,
}

impl Core {
    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Has the next fence be larger than `fence`.
    pub fn skip_fences_to(&mut self, fence: u64) {
        self.model.fences.skip_to(fence);
    }

    /// From here on fences are given out from ranges, each of which is written down before it is used up.
    pub fn reserve_fences(&mut self) {
        self.model.fences.reserve_ranges();
    }

    /// From here on no lease, waiter or session is added while more bytes than this are taken; 0 for no limit.
    pub fn limit_memory(&mut self, bytes: usize) {
        self.model.memory_limit = bytes;
    }

    /// Does everything that has fallen due.  Every operation begins with it, so that none sees an expired lease.  Time that runs
    /// back, between two threads, stands still instead.
    ///
    /// All expired leases and sessions end before anything is granted, and waits end after that.  However late this
    /// runs, nothing is granted on an expired lease or to an expired session, and no wait ends in vain while its
    /// resource is free.
    pub fn advance(&mut self, now: u64, events: &mut Events) {
        self.model.now = self.model.now.max(now);
        if self.model.next_deadline().is_some_and(|at| at <= self.model.now) {
            self.end_what_is_due(events);
        }
    }

    #[cold]
    fn end_what_is_due(&mut self, events: &mut Events) {
        let mut over: SmallVec<[WaiterId; 4]> = SmallVec::new();
        let mut has_ended = false;
        while let Some(&(at, lease)) = self.model.leases_due.first()
            && at <= self.model.now
        {
            self.model.leases_due.pop_first();
            has_ended = true;
            self.model.expire_lease(lease as usize, events);
        }
        while let Some(&(at, due)) = self.model.due.first()
            && at <= self.model.now
        {
            self.model.due.pop_first();
            has_ended = true;
            match due {
                Due::Session(session) => self.model.session_due(session, events),
                Due::Waiter(waiter) => over.push(waiter),
            }
        }
        if has_ended {
            self.finish(events);
        }
        // One after the other: the end of one wait may be the turn of the next.
        for waiter in over {
            if self.model.waiters.contains_key(&waiter) {
                self.model.time_out(waiter, events);
                self.finish(events);
            }
        }
    }

    /// The end of every operation: grants what can be granted now, and asks for the next range of fences.
    pub(super) fn finish(&mut self, events: &mut Events) {
        while let Some(resource) = self.model.touched.pop_front() {
            let Some(found) = self.model.resources.get(resource) else { continue };
            if !found.queue.is_empty() {
                self.settle(resource, events);
            }
            self.model.forget_resource(resource);
        }
        if let Some(upto) = self.model.fences.next_range() {
            events.record(&Record::FenceRange { upto });
        }
    }

    /// Goes through a queue and grants the requests that the rule allows.
    pub(super) fn settle(&mut self, id: usize, events: &mut Events) {
        let (mut load, most_permits) = (self.model.resources[id].load, self.model.resources[id].most_permits);
        let mut position = 0;
        while !load.is_full(most_permits) {
            let Some(waiter_id) = self.model.resources[id].queue.get(position) else { return };
            let waiter = &self.model.waiters[&waiter_id];
            let (kind, mode) = (waiter.kind, waiter.mode);
            if waiter.fits(&load) && self.fits_elsewhere(waiter_id, waiter, id) {
                if kind == WaitKind::Upgrade {
                    load.remove(Mode::Shared);
                }
                self.grant_waiter(waiter_id, events);
                load.add(mode);
            } else {
                position += 1;
                load.add_ahead(mode);
            }
        }
    }

    /// Whether a waiter fits into all its other resources.  What is held decides most cases, without a look at the
    /// queues.
    fn fits_elsewhere(&self, id: WaiterId, waiter: &Waiter, here: usize) -> bool {
        let mut others = waiter.resources.iter().filter(|&&resource| resource != here);
        others.clone().all(|&resource| waiter.fits(&self.model.resources[resource].load))
            && others.all(|&resource| self.has_room(resource, Some(id), |load| waiter.fits(load)))
    }

    /// Whether a request fits beside what is held of a resource and what waiters ahead ask for: those before the waiter
    /// `end`, or all of them.  What does not fit beside a load does not fit beside a larger one.
    pub(super) fn has_room(
        &self,
        resource: usize,
        end: Option<WaiterId>,
        fits: impl Fn(&Load) -> bool,
    ) -> bool {
        let resource = &self.model.resources[resource];
        let mut load = resource.load;
        let mut ahead = resource.queue.iter().take_while(|&&waiter| Some(waiter) != end);
        fits(&load)
            && ahead.all(|waiter| {
                load.add_ahead(self.model.waiters[waiter].mode);
                fits(&load)
            })
    }

    fn grant_waiter(&mut self, id: WaiterId, events: &mut Events) {
        let waiter = self.model.take_waiter(id);
        if matches!(waiter.mode, Mode::Permits { .. }) && waiter.resources.len() > 1 {
            // Waiters behind it may count on a larger total of permits than it did.
            self.model.touched.extend(&waiter.resources);
        }
        let mut grant = match waiter.kind {
            WaitKind::Upgrade => {
                let grant =
                    self.model.make_exclusive(waiter.owner, waiter.resources[0], waiter.since, events);
                self.model.remember(&waiter.request, Done::Granted(grant.fence), events);
                grant
            }
            WaitKind::Acquire => {
                let terms = GrantTerms {
                    owner: waiter.owner,
                    mode: waiter.mode,
                    ttl: waiter.ttl,
                    session: waiter.session,
                    meta: &waiter.meta,
                    request: &waiter.request,
                    since: waiter.since,
                };
                self.model.grant(&terms, &waiter.resources, events)
            }
        };
        if !waiter.request.is_none() {
            grant.owner = Some(self.model.owners.name(waiter.owner).into());
        }
        grant.request = waiter.request.key;
        events.answer(id, Outcome::Granted(grant));
    }
}
