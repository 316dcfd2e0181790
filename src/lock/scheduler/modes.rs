//! Changing how a resource is held: exclusive instead of shared, and shared instead of exclusive.

use super::{Core, check_wait};
use crate::lock::grant::{Grant, Withdrawal};
use crate::lock::mode::Mode;
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, OperationKind};
use crate::lock::model::waiter::{WaitKind, Waiter};
use crate::lock::operation::{Downgrade, Upgrade};
use crate::lock::outcome::Acquired;
use crate::lock::refused::Refused;

impl Core {
    /// LOCK.UPGRADE: see [`Upgrade`].
    ///
    /// # Errors
    /// If the owner does not share the resource, the time to wait is out of range, a limit is reached, or the id of the
    /// request was used for another.
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
            .bind(|| Fingerprint::of(OperationKind::Upgrade).text(resource).text(owner).optional(fence))?;
        if let Some(done) = self.model.done_before(&request)? {
            let again = self.again(done, &[resource], None, wait, events)?;
            return Ok(self.claim(again, Withdrawal::Claim, &request));
        }
        let id = self.model.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
        let lease = &self.model.leases[id];
        let (owner, resource) = (lease.owner, lease.resource);
        match lease.mode {
            Mode::Exclusive => {
                let grant = self.model.grant_of(id);
                self.model.remember(&request, Done::Granted(grant.fence), events);
                return Ok(Acquired::Granted(grant));
            }
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refused::UpgradeOfPermits),
        }
        let result = if self.model.resources[resource].load.admits_upgrade() {
            let grant = self.model.make_exclusive(owner, resource, self.model.now, events);
            self.model.remember(&request, Done::Granted(grant.fence), events);
            Ok(Acquired::Granted(Grant { request: request.key, ..grant }))
        } else if wait == 0 {
            Ok(Acquired::Busy)
        } else {
            let waiter = Waiter {
                owner,
                kind: WaitKind::Upgrade,
                resources: [resource].into_iter().collect(),
                mode: Mode::Exclusive,
                ttl: None,
                session: self.model.leases[id].session(),
                meta: Box::default(),
                request,
                since: self.model.now,
                deadline: self.model.now + wait * 1000,
            };
            self.wait(waiter, events)
        };
        self.finish(events);
        result
    }

    /// LOCK.DOWNGRADE: see [`Downgrade`].
    ///
    /// # Errors
    /// If the owner does not hold the resource, or holds permits, or the id of the request was used for another.
    pub fn downgrade(
        &mut self,
        downgrade: &Downgrade<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Grant, Refused> {
        let &Downgrade { resource, owner, fence, request } = downgrade;
        self.advance(now, events);
        let request = request
            .bind(|| Fingerprint::of(OperationKind::Downgrade).text(resource).text(owner).optional(fence))?;
        if let Some(done) = self.model.done_before(&request)? {
            return self.granted_before(done, resource, events);
        }
        let id = self.model.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
        let lease = &self.model.leases[id];
        match lease.mode {
            Mode::Exclusive => self.model.change_mode(id, Mode::Shared, lease.fence, events),
            Mode::Shared => {}
            Mode::Permits { .. } => return Err(Refused::DowngradeOfPermits),
        }
        let grant = self.model.grant_of(id);
        self.model.remember(&request, Done::Granted(grant.fence), events);
        self.finish(events);
        Ok(grant)
    }
}
