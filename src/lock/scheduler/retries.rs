//! Retries: requests that were made before under the same id.

use smallvec::SmallVec;

use super::Core;
use crate::lock::grant::{Grant, Withdrawal};
use crate::lock::model::Due;
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Bound, Done};
use crate::lock::outcome::Acquired;
use crate::lock::refused::Refused;

impl Core {
    /// The answer to a retry.  A lease that the first try was granted lasts at least `ttl` from now, since the client
    /// counts from then.
    pub(super) fn again(
        &mut self,
        done: Done,
        resources: &[&[u8]],
        ttl: Option<u64>,
        wait: u64,
        events: &mut Events,
    ) -> Result<Acquired, Refused> {
        match done {
            Done::Granted(fence) => {
                let leases = resources.iter().map(|resource| self.model.lease_at(resource, fence));
                // A late copy of a request must not acquire what was released since.
                let leases: SmallVec<[usize; 1]> =
                    leases.collect::<Option<_>>().ok_or(Refused::GrantEnded(fence))?;
                for &id in &leases {
                    if let Some(ttl) = ttl {
                        self.model.extend_lease(id, ttl, events);
                    }
                }
                let owner = self.model.owners.name(self.model.leases[leases[0]].owner);
                Ok(Acquired::Granted(Grant { owner: Some(owner.into()), ..self.model.grant_of_all(&leases) }))
            }
            Done::Waiting(_) if wait == 0 => Ok(Acquired::Busy),
            Done::Waiting(id) => {
                let deadline = self.model.now + wait * 1000;
                let waiter =
                    self.model.waiters.get_mut(&id).expect("a request is forgotten when its wait ends");
                let old = std::mem::replace(&mut waiter.deadline, deadline);
                self.model.due.remove(&(old, Due::Waiter(id)));
                self.model.due.insert((deadline, Due::Waiter(id)));
                Ok(Acquired::Rejoined(id))
            }
            Done::Counted(_) | Done::Opened(_) => Err(Refused::RequestIdUsed),
        }
    }

    /// Has a grant stay until the retry that is told of it has gone as well.
    pub(super) fn claim(
        &mut self,
        mut acquired: Acquired,
        withdrawal: Withdrawal,
        request: &Bound,
    ) -> Acquired {
        if let Acquired::Granted(grant) = &mut acquired {
            (grant.withdrawal, grant.request) = (withdrawal, request.key.clone());
            for &id in &grant.leases {
                self.model.leases[id].claims += 1;
            }
        }
        acquired
    }

    /// The grant of a change that an earlier try has made.
    pub(super) fn granted_before(
        &mut self,
        done: Done,
        resource: &[u8],
        events: &mut Events,
    ) -> Result<Grant, Refused> {
        match self.again(done, &[resource], None, 0, events)? {
            Acquired::Granted(grant) => Ok(grant),
            _ => Err(Refused::RequestIdUsed),
        }
    }
}
