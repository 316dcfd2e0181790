//! Releasing: by the holder, and by an operator.

use smallvec::SmallVec;

use super::Core;
use crate::lock::mode::Mode;
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, Operation};
use crate::lock::notice::NoticeKind;
use crate::lock::operation::{Force, Release, ReleaseMany};
use crate::lock::records::Record;
use crate::lock::refused::Refused;

/// What both operations begin their fingerprint with.
fn fingerprint(operation: Operation, fence: Option<u64>, all: bool, skips_ended: bool) -> Fingerprint {
    Fingerprint::of(operation).optional(fence).number(all.into()).number(skips_ended.into())
}

impl Core {
    /// LOCK.RELEASE: gives back one hold on a resource, of several leases on the last; returns how many are left.
    ///
    /// # Errors
    /// If the owner does not hold it, or not under that fence, or the id of the request was used for another.
    pub fn release(&mut self, release: &Release<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &Release { resource, owner, fence, all, request } = release;
        self.advance(now, events);
        let request =
            request.bind(|| fingerprint(Operation::Release, fence, all, false).text(owner).text(resource))?;
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

    /// Gives back permits, of which an owner may have several leases on a resource; returns how many holds are left.
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

    /// The leases on a resource that an owner gives back: all it has there, or the last.
    fn leases_for(&self, last: usize, fence: Option<u64>, all: bool) -> SmallVec<[usize; 1]> {
        if all && fence.is_none() {
            self.model.find_leases(self.model.leases[last].resource, self.model.leases[last].owner).collect()
        } else {
            [last].into_iter().collect()
        }
    }

    /// Gives back one hold of a lease, or all; returns how many.
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

    /// LOCK.MRELEASE: gives back several resources; returns how many are free of the owner now.
    ///
    /// # Errors
    /// If the owner does not hold them all under that fence, then it keeps those it holds; if none is named; if the id
    /// of the request was used for another.
    pub fn release_many(
        &mut self,
        release: &ReleaseMany<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        let &ReleaseMany { resources, owner, fence, all, skips_ended, request } = release;
        self.advance(now, events);
        let request = request.bind(|| {
            fingerprint(Operation::ReleaseMany, fence, all, skips_ended).text(owner).texts(resources)
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

    /// LOCK.FORCE: takes a resource away from one owner, or from all who hold it; returns from how many.
    ///
    /// # Errors
    /// If the id of the request was used for another.
    pub fn force(&mut self, force: &Force<'_>, now: u64, events: &mut Events) -> Result<u64, Refused> {
        let &Force { resource, owner, reason, request } = force;
        self.advance(now, events);
        let request = request
            .bind(|| Fingerprint::of(Operation::Force).text(resource).texts(owner.as_slice()).text(reason))?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        let place = self.model.resources.find(resource);
        let mut leases = place.map_or_else(Vec::new, |place| self.model.resources[place].holders.to_vec());
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
