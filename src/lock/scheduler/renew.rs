//! Renewing leases, and checking fences.

use smallvec::SmallVec;

use super::{Core, check_ttl};
use crate::lock::grant::Grant;
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, OperationKind};
use crate::lock::operation::{Check, Renew, RenewAll};
use crate::lock::refused::Refused;

impl Core {
    /// LOCK.RENEW: see [`Renew`].  Without a fence it renews all leases that the owner has on a resource.
    ///
    /// # Errors
    /// If the owner does not hold all resources, or not under that fence, or as long as its session; if the grant has
    /// ended since the request was first made; if its id was used for another.
    pub fn renew(&mut self, renew: &Renew<'_>, now: u64, events: &mut Events) -> Result<Grant, Refused> {
        let &Renew { resources, owner, ttl, fence, request } = renew;
        self.advance(now, events);
        check_ttl(ttl)?;
        let fingerprint = || {
            let renewal = Fingerprint::of(OperationKind::Renew).text(owner).texts(resources);
            renewal.number(ttl).optional(fence)
        };
        let request = request.bind(fingerprint)?;
        let before = self.model.done_before(&request)?;
        let mut leases: SmallVec<[usize; 1]> = SmallVec::new();
        for resource in resources {
            let last = self.model.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
            leases.push(last);
            if fence.is_none() {
                let all =
                    self.model.find_leases(self.model.leases[last].resource, self.model.leases[last].owner);
                leases.extend(all.filter(|&id| id != last));
            }
        }
        let &first = leases.first().ok_or(Refused::NotHeld)?;
        if let Some(Done::Granted(before)) = before
            && before != self.model.leases[first].fence
        {
            return Err(Refused::GrantEnded(before));
        }
        if leases.iter().any(|&id| self.model.leases[id].deadline().is_none()) {
            return Err(Refused::LeaseOfSession);
        }
        for &id in &leases {
            self.model.extend_lease(id, ttl, events);
        }
        self.model.counts.renewed += leases.len() as u64;
        self.model.remember(&request, Done::Granted(self.model.leases[first].fence), events);
        // A grant has one fence: it is about the last lease.
        let fence = self.model.leases[first].fence;
        leases.retain(|id| self.model.leases[*id].fence == fence);
        Ok(self.model.grant_of_all(&leases))
    }

    /// LOCK.RENEWALL: see [`RenewAll`].  Returns how many leases were renewed.
    ///
    /// # Errors
    /// If the time is out of range, or the id of the request was used for another.
    pub fn renew_all(&mut self, renew: &RenewAll<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &RenewAll { owner, ttl, request } = renew;
        self.advance(now, events);
        check_ttl(ttl)?;
        let request = request.bind(|| Fingerprint::of(OperationKind::RenewAll).text(owner).number(ttl))?;
        self.model.done_before(&request)?;
        let known = self.model.owners.find(owner);
        let leases = known.map_or_else(SmallVec::new, |owner| self.model.owners[owner].leases.clone());
        let mut renewed = 0;
        for id in leases {
            if self.model.leases[id].deadline().is_some() {
                self.model.extend_lease(id, ttl, events);
                renewed += 1;
            }
        }
        self.model.counts.renewed += renewed;
        self.model.remember(&request, Done::Counted(renewed), events);
        Ok(renewed)
    }

    /// LOCK.CHECK: see [`Check`].
    pub fn check(&mut self, check: &Check<'_>, now: u64, events: &mut Events) -> bool {
        self.advance(now, events);
        check.resources.iter().all(|resource| self.model.lease_at(resource, check.fence).is_some())
    }
}
