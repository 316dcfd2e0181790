//! Who waits: the queues, and how waiting ends without a grant.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::core::{Core, Due};
use super::events::{Events, NoticeKind, Outcome, WaiterId};
use super::idempotency::{Bound, Done, Fingerprint, Operation};
use super::modes::{Load, Mode};
use super::operation::CancelWait;
use super::refused::Refused;
use super::sessions::SessionId;

/// Waiters for which the table is never made smaller.
const WAITERS_KEPT: usize = 4096;

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// To hold resources.
    Acquire,
    /// To hold a resource alone that it shares.
    Upgrade,
}

/// A request that waits.
pub(super) struct Waiter {
    pub(super) owner: usize,
    pub(super) kind: Kind,
    pub(super) resources: SmallVec<[usize; 1]>,
    pub(super) mode: Mode,
    /// Milliseconds.
    pub(super) ttl: Option<u64>,
    pub(super) session: Option<SessionId>,
    pub(super) meta: Box<[u8]>,
    pub(super) request: Bound,
    /// When it began to wait, in microseconds.
    pub(super) since: u64,
    /// When it stops, in microseconds.
    pub(super) deadline: u64,
}

impl Waiter {
    /// Whether it may be granted beside that much of a resource.
    pub(super) fn fits(&self, load: &Load) -> bool {
        match self.kind {
            Kind::Acquire => load.admits(self.mode),
            Kind::Upgrade => load.admits_upgrade(),
        }
    }
}

impl Core {
    /// Puts a waiter at the end of its queues.  An upgrade goes to the front: those who wait wait for its shared lease.
    pub(super) fn add_waiter(&mut self, waiter: Waiter, events: &mut Events) -> WaiterId {
        self.last_waiter += 1;
        let id = WaiterId(self.last_waiter);
        for &resource in &waiter.resources {
            let queue = &mut self.resources[resource].queue;
            match waiter.kind {
                Kind::Acquire => queue.push_back(id),
                Kind::Upgrade => queue.push_front(id),
            }
            self.count_permits(resource, waiter.mode);
        }
        self.due.insert((waiter.deadline, Due::Waiter(id)));
        self.owners[waiter.owner].wait = Some(id);
        if let Some(session) = waiter.session.and_then(|session| self.sessions.get_mut(&session)) {
            session.waiters.insert(id);
        }
        self.remember(&waiter.request, Done::Waiting(id), events);
        self.counts.waited += 1;
        for &resource in &waiter.resources {
            self.notice(NoticeKind::Contended, resource, waiter.owner, 0, b"", events);
        }
        self.meta_bytes += waiter.meta.len();
        self.waiters.insert(id, waiter);
        id
    }

    /// Takes a waiter out of its queues.  Its owner keeps its name until it is forgotten.
    pub(super) fn take_waiter(&mut self, id: WaiterId) -> Waiter {
        let waiter = self.waiters.remove(&id).expect("only those are taken out that wait");
        self.meta_bytes -= waiter.meta.len();
        if self.waiters.is_empty() && self.waiters.capacity() > WAITERS_KEPT {
            self.waiters = HashMap::default();
        }
        for &resource in &waiter.resources {
            self.resources[resource].queue.remove(id);
            self.discount_permits(resource, waiter.mode);
        }
        self.due.remove(&(waiter.deadline, Due::Waiter(id)));
        self.owners[waiter.owner].wait = None;
        if let Some(session) = waiter.session.and_then(|session| self.sessions.get_mut(&session)) {
            session.waiters.remove(&id);
        }
        waiter
    }

    /// Ends waiting without a grant; those behind may have their turn.
    pub(super) fn remove_waiter(&mut self, id: WaiterId) {
        let waiter = self.take_waiter(id);
        self.request_ids.forget(&waiter.request.key);
        self.touched.extend(&waiter.resources);
        self.forget_owner(waiter.owner);
    }

    pub(super) fn time_out(&mut self, id: WaiterId, events: &mut Events) {
        self.counts.timed_out += 1;
        self.remove_waiter(id);
        events.answer(id, Outcome::TimedOut);
    }

    /// Whoever waited has gone.  Nothing happens if it was answered already.
    pub fn abandon(&mut self, id: WaiterId, now: u64, events: &mut Events) {
        self.advance(now, events);
        if self.waiters.contains_key(&id) {
            self.remove_waiter(id);
            self.finish(events);
        }
    }

    /// LOCK.CANCEL: ends the waiting of an owner for a resource; returns how many requests waited.
    ///
    /// # Errors
    /// If the id of the request was used for another.
    pub fn cancel_wait(
        &mut self,
        cancel: &CancelWait<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        let &CancelWait { resource, owner, request } = cancel;
        self.advance(now, events);
        let request = request.bind(|| Fingerprint::of(Operation::Cancel).text(resource).text(owner))?;
        if let Some(done) = self.done_before(&request)? {
            return done.counted();
        }
        let names = self.resources.find(resource).zip(self.owners.find(owner));
        let waiter = names.and_then(|(resource, owner)| self.wait_for(resource, owner));
        if let Some(id) = waiter {
            self.remove_waiter(id);
            events.answer(id, Outcome::Cancelled);
        }
        let cancelled = u64::from(waiter.is_some());
        self.remember(&request, Done::Counted(cancelled), events);
        self.finish(events);
        Ok(cancelled)
    }

    /// The wait of an owner, if it is for that resource.
    pub(super) fn wait_for(&self, resource: usize, owner: usize) -> Option<WaiterId> {
        self.owners[owner].wait.filter(|id| self.waiters[id].resources.contains(&resource))
    }
}
