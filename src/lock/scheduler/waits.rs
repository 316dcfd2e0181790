//! Waiting: it begins unless it would close a circle; a waiter can give it up, and an operator can cancel it.

use super::{Core, deadlocks};
use crate::lock::deadlock::Deadlock;
use crate::lock::identifiers::WaiterId;
use crate::lock::limits::{WAITERS_MAX, WAITERS_PER_RESOURCE_MAX};
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, OperationKind};
use crate::lock::model::waiter::Waiter;
use crate::lock::notice::NoticeKind;
use crate::lock::operation::CancelWait;
use crate::lock::outcome::{Acquired, Outcome};
use crate::lock::refused::Refused;

impl Core {
    /// Has a request wait, unless that would close a circle.
    pub(super) fn wait(&mut self, waiter: Waiter, events: &mut Events) -> Result<Acquired, Refused> {
        if let Some(other) = self.model.owners[waiter.owner].wait {
            // If it were two threads of control, one could release what the other waits for, and no circle were
            // certain.
            let resource = self.model.waiters[&other].resources[0];
            return Err(Refused::OwnerWaits(self.model.resources.name(resource).into()));
        }
        if self.model.waiters.len() >= WAITERS_MAX {
            return Err(Refused::ManyWaiters);
        }
        self.model.check_memory()?;
        let is_full =
            |&resource: &usize| self.model.resources[resource].queue.len() >= WAITERS_PER_RESOURCE_MAX;
        if waiter.resources.iter().any(is_full) {
            return Err(Refused::ManyWaitersForResource);
        }
        let id = self.model.add_waiter(waiter, events);
        let Some(found) = deadlocks::find(&self.model, id) else { return Ok(Acquired::Waiting(id)) };
        Ok(Acquired::Deadlock(self.refuse_deadlock(id, found, events)))
    }

    fn refuse_deadlock(&mut self, id: WaiterId, found: Deadlock, events: &mut Events) -> Deadlock {
        let waiter = &self.model.waiters[&id];
        let (owner, resource) = (waiter.owner, waiter.resources[0]);
        self.model.notice(NoticeKind::Deadlock, resource, owner, 0, found.to_string().as_bytes(), events);
        self.model.remove_waiter(id);
        self.model.remember_deadlock(found.clone());
        found
    }

    /// Ends the wait of a client that has left, unless it was answered already.
    pub fn abandon(&mut self, id: WaiterId, now: u64, events: &mut Events) {
        self.advance(now, events);
        if self.model.waiters.contains_key(&id) {
            self.model.remove_waiter(id);
            self.finish(events);
        }
    }

    /// LOCK.CANCEL: see [`CancelWait`].  Returns how many requests waited.
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
        let request = request.bind(|| Fingerprint::of(OperationKind::Cancel).text(resource).text(owner))?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        let names = self.model.resources.find(resource).zip(self.model.owners.find(owner));
        let waiter = names.and_then(|(resource, owner)| self.model.wait_for(resource, owner));
        if let Some(id) = waiter {
            self.model.remove_waiter(id);
            events.answer(id, Outcome::Cancelled);
        }
        let cancelled = u64::from(waiter.is_some());
        self.model.remember(&request, Done::Counted(cancelled), events);
        self.finish(events);
        Ok(cancelled)
    }
}
