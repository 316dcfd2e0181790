//! Releasing: by the holder, and by an operator.

use smallvec::SmallVec;

use super::Core;
use crate::lock::mode::Mode;
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, OperationKind};
use crate::lock::notice::NoticeKind;
use crate::lock::operation::{Force, Release, ReleaseMany};
use crate::lock::records::Record;
use crate::lock::refused::Refused;

/// The first part of the fingerprint of both operations.
fn fingerprint(operation: OperationKind, fence: Option<u64>, all: bool, skips_ended: bool) -> Fingerprint {
    Fingerprint::of(operation).optional(fence).number(all.into()).number(skips_ended.into())
}

impl Core {
    /// LOCK.RELEASE: see [`Release`].  Returns how often the owner still holds the resource.
    ///
    /// # Errors
    /// If the owner does not hold the resource, or not under that fence, or the id of the request was used for another.
    pub fn release(&mut self, release: &Release<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &Release { resource, owner, fence, all, request } = release;
        self.advance(now, events);
        let request = request
            .bind(|| fingerprint(OperationKind::Release, fence, all, false).text(owner).text(resource))?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        let last = self.model.lease_under(resource, owner, fence).ok_or(Refused::NotHeld)?;
        let left = match self.model.leases[last].mode {
            Mode::Permits { .. } => self.give_back_permits(last, fence, all, events),
            Mode::Exclusive | Mode::Shared => {
                u64::from(self.model.leases[last].holds) - self.give_back(last, all, events)
            }
        };
        self.model.remember(&request, Done::Counted(left), events);
        self.finish(events);
        Ok(left)
    }

    /// Releases permits, of which an owner may have several leases on a resource.  Returns the holds that are left.
    fn give_back_permits(&mut self, last: usize, fence: Option<u64>, all: bool, events: &mut Events) -> u64 {
        let (owner, resource) = (self.model.leases[last].owner, self.model.leases[last].resource);
        let held = self
            .model
            .find_leases(resource, owner)
            .map(|id| u64::from(self.model.leases[id].holds))
            .sum::<u64>();
        let leases = self.leases_for(last, fence, all);
        let given: u64 = leases.iter().map(|&id| self.give_back(id, all, events)).sum();
        held - given
    }

    /// The leases on a resource that an owner releases: all of them, or the last.
    fn leases_for(&self, last: usize, fence: Option<u64>, all: bool) -> SmallVec<[usize; 1]> {
        if all && fence.is_none() {
            self.model.find_leases(self.model.leases[last].resource, self.model.leases[last].owner).collect()
        } else {
            [last].into_iter().collect()
        }
    }

    /// Releases one hold of a lease, or all.  Returns how many.
    fn give_back(&mut self, id: usize, all: bool, events: &mut Events) -> u64 {
        let lease = &mut self.model.leases[id];
        let holds = lease.holds;
        if holds > 1 && !all {
            lease.holds -= 1;
            let (owner, resource) =
                (self.model.owners.name(lease.owner), self.model.resources.name(lease.resource));
            events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds: lease.holds });
            return 1;
        }
        self.model.counts.released += 1;
        self.model.end_lease(id, NoticeKind::Released, b"", events);
        holds.into()
    }

    /// LOCK.MRELEASE: see [`ReleaseMany`].  Returns how many leases have ended.
    ///
    /// # Errors
    /// If the owner does not hold all of them under that fence, unless ended ones are skipped; if no resource is named;
    /// if the id of the request was used for another.
    pub fn release_many(
        &mut self,
        release: &ReleaseMany<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        let &ReleaseMany { resources, owner, fence, all, skips_ended, request } = release;
        self.advance(now, events);
        let request = request.bind(|| {
            fingerprint(OperationKind::ReleaseMany, fence, all, skips_ended).text(owner).texts(resources)
        })?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        let last = resources.iter().filter_map(|resource| self.model.lease_under(resource, owner, fence));
        let held: SmallVec<[_; 1]> = last.map(|last| self.leases_for(last, fence, all)).collect();
        if held.is_empty() || (held.len() < resources.len() && !skips_ended) {
            return Err(Refused::NotHeld);
        }
        let mut leases: SmallVec<[usize; 4]> = held.into_iter().flatten().collect();
        leases.sort_unstable();
        leases.dedup();
        let mut freed = 0;
        for id in leases {
            let is_last = self.model.leases[id].holds == 1 || all;
            self.give_back(id, all, events);
            freed += u64::from(is_last);
        }
        self.model.remember(&request, Done::Counted(freed), events);
        self.finish(events);
        Ok(freed)
    }

    /// LOCK.FORCE: see [`Force`].  Returns how many leases were taken away.
    ///
    /// # Errors
    /// If the id of the request was used for another.
    pub fn force(&mut self, force: &Force<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &Force { resource, owner, reason, request } = force;
        self.advance(now, events);
        let request = request.bind(|| {
            Fingerprint::of(OperationKind::Force).text(resource).texts(owner.as_slice()).text(reason)
        })?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        let found = self.model.resources.find(resource);
        let mut leases = found.map_or_else(Vec::new, |id| self.model.resources[id].holders.to_vec());
        if let Some(owner) = owner {
            leases.retain(|&id| self.model.owners.name(self.model.leases[id].owner) == owner);
        }
        for &id in &leases {
            self.model.end_lease(id, NoticeKind::Forced, reason, events);
        }
        let forced = leases.len() as u64;
        self.model.counts.forced += forced;
        self.model.remember(&request, Done::Counted(forced), events);
        self.finish(events);
        Ok(forced)
    }
}
