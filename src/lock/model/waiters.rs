//! Waiters: the queues, and how a wait ends without a grant.

use std::collections::HashMap;

use super::events::Events;
use super::idempotency::Done;
use super::waiter::{WaitKind, Waiter};
use super::{Due, Model};
use crate::lock::identifiers::WaiterId;
use crate::lock::notice::NoticeKind;
use crate::lock::outcome::Outcome;

/// Waiters up to which the table never shrinks.
const WAITERS_KEPT: usize = 4096;

impl Model {
    /// Puts a waiter at the end of its queues.  An upgrade goes to the front, since the others wait for its shared
    /// lease.
    pub(in crate::lock) fn add_waiter(&mut self, waiter: Waiter, events: &mut Events) -> WaiterId {
        self.last_waiter += 1;
        let id = WaiterId(self.last_waiter);
        for &resource in &waiter.resources {
            let queue = &mut self.resources[resource].queue;
            match waiter.kind {
                WaitKind::Acquire => queue.push_back(id),
                WaitKind::Upgrade => queue.push_front(id),
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

    /// Takes a waiter out of its queues.  The caller forgets its owner.
    pub(in crate::lock) fn take_waiter(&mut self, id: WaiterId) -> Waiter {
        let waiter = self.waiters.remove(&id).expect("it is in the queues");
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

    /// Ends a wait without a grant.  Waiters behind it may have their turn.
    pub(in crate::lock) fn remove_waiter(&mut self, id: WaiterId) {
        let waiter = self.take_waiter(id);
        self.request_ids.forget(&waiter.request.key);
        self.touched.extend(&waiter.resources);
        self.forget_owner(waiter.owner);
    }

    pub(in crate::lock) fn time_out(&mut self, id: WaiterId, events: &mut Events) {
        self.counts.timed_out += 1;
        self.remove_waiter(id);
        events.answer(id, Outcome::TimedOut);
    }

    /// The wait of an owner, if it is for that resource.
    pub(in crate::lock) fn wait_for(&self, resource: usize, owner: usize) -> Option<WaiterId> {
        self.owners[owner].wait.filter(|id| self.waiters[id].resources.contains(&resource))
    }
}
