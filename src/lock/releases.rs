//! Giving back: by the holder, by an operator, and in the name of who has gone.

use smallvec::SmallVec;

use super::core::Core;
use super::events::{Events, Grant, NoticeKind};
use super::leases::Lease;
use super::modes::Mode;
use super::records::Record;
use super::request_ids::{Done, Kind};
use crate::refusal::Refusal;

/// How an owner gives back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Release<'a> {
    /// Only what is held under this fence.
    pub fence: Option<u64>,
    /// However often it is held.
    pub all: bool,
    /// Names the request, so that it can be repeated; empty for none.
    pub request: &'a [u8],
}

impl Core {
    /// LOCK.RELEASE: gives back one hold on a resource; returns how many are left.
    ///
    /// # Errors
    /// If the owner does not hold it, or not under that fence.
    pub fn release(
        &mut self,
        resource: &[u8],
        owner: &[u8],
        release: Release<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u32, Refusal> {
        self.advance(now, events);
        if !release.request.is_empty()
            && let Some(Done::Released(left)) = self.request_ids.find(Kind::Release, owner, release.request)
        {
            return Ok(left);
        }
        let id = self.lease_under(resource, owner, release.fence).ok_or(Refusal::LOCK_NOT_HELD)?;
        let lease = &mut self.leases[id];
        let left = if release.all { 0 } else { lease.holds - 1 };
        if left > 0 {
            lease.holds = left;
            events.record(&Record::Holds { owner, resource, holds: left, request: release.request });
        } else {
            self.counts.released += 1;
            self.end_lease(id, NoticeKind::Released, b"", release.request, events);
        }
        self.request_ids.remember(owner, release.request, Done::Released(left), self.now);
        self.finish(events);
        Ok(left)
    }

    /// LOCK.MRELEASE: gives back several resources; returns how many are free of the owner now.
    ///
    /// # Errors
    /// If the owner does not hold them all under that fence, then it keeps those it holds; if none is named.
    pub fn release_many(
        &mut self,
        resources: &[&[u8]],
        owner: &[u8],
        Release { fence, all, request }: Release<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u32, Refusal> {
        self.advance(now, events);
        if !request.is_empty()
            && let Some(Done::Released(freed)) = self.request_ids.find(Kind::Release, owner, request)
        {
            return Ok(freed);
        }
        let leases: Option<Vec<usize>> =
            resources.iter().map(|resource| self.lease_under(resource, owner, fence)).collect();
        let mut leases = leases.filter(|leases| !leases.is_empty()).ok_or(Refusal::LOCK_NOT_HELD)?;
        leases.sort_unstable();
        leases.dedup();
        let mut freed = 0;
        for id in leases {
            let lease = &mut self.leases[id];
            if lease.holds > 1 && !all {
                lease.holds -= 1;
                let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
                events.record(&Record::Holds { owner, resource, holds: lease.holds, request: b"" });
            } else {
                freed += 1;
                self.counts.released += 1;
                self.end_lease(id, NoticeKind::Released, b"", b"", events);
            }
        }
        if !request.is_empty() {
            events.record(&Record::RequestReleased { owner, request, told: freed });
            self.request_ids.remember(owner, request, Done::Released(freed), self.now);
        }
        self.finish(events);
        Ok(freed)
    }

    /// LOCK.FORCE: takes a resource away from one owner, or from all who hold it; returns from how many.
    pub fn force(
        &mut self,
        resource: &[u8],
        owner: Option<&[u8]>,
        reason: &[u8],
        now: u64,
        events: &mut Events,
    ) -> usize {
        self.advance(now, events);
        let Some(place) = self.resources.find(resource) else { return 0 };
        let mut leases = self.resources[place].holders.to_vec();
        if let Some(owner) = owner {
            leases.retain(|&id| self.owners.name(self.leases[id].owner) == owner);
        }
        for &id in &leases {
            self.end_lease(id, NoticeKind::Forced, reason, b"", events);
        }
        self.counts.forced += leases.len() as u64;
        self.finish(events);
        leases.len()
    }

    /// Takes back what was granted to somebody who had gone when the grant was to be handed over, unless a retry was told
    /// of it meanwhile.
    pub fn withdraw(&mut self, grant: &Grant, now: u64, events: &mut Events) {
        self.advance(now, events);
        // The place of a lease that has ended may be another's; fences are never given twice.
        let is_of_grant = |lease: &Lease| lease.fence == grant.fence && !lease.is_claimed;
        let leases = grant.leases.iter().copied();
        let leases: SmallVec<[usize; 1]> =
            leases.filter(|&id| self.leases.get(id).is_some_and(is_of_grant)).collect();
        if let Some(&first) = leases.first()
            && !grant.request.is_empty()
        {
            // The request came to nothing, and a retry that comes now is granted or waits like a new one.
            let owner = self.owners.name(self.leases[first].owner);
            self.request_ids.forget(owner, &grant.request);
            events.record(&Record::RequestWithdrawn { owner, request: &grant.request });
        }
        for id in leases {
            self.counts.withdrawn += 1;
            match grant.upgraded_from {
                Some(fence) => self.change_mode(id, Mode::Shared, fence, events),
                None => self.end_lease(id, NoticeKind::Released, b"", b"", events),
            }
        }
        self.finish(events);
    }
}
