//! Giving back: by the holder, by an operator, and in the name of who has gone.

use smallvec::SmallVec;

use super::core::Core;
use super::events::{Events, NoticeKind};
use super::idempotency::{Done, Fingerprint, Operation, RequestId};
use super::modes::Mode;
use super::records::Record;
use super::refused::Refused;

/// How an owner gives back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Release<'a> {
    /// Only what is held under this fence.
    pub fence: Option<u64>,
    /// However often it is held.
    pub all: bool,
    /// Whether what has ended already is no obstacle to giving back the rest of several.
    pub skips_ended: bool,
    /// Interner the request, so that it can be repeated.
    pub request: RequestId<'a>,
}

impl Release<'_> {
    fn fingerprint(&self, operation: Operation) -> Fingerprint {
        Fingerprint::of(operation)
            .optional(self.fence)
            .number(self.all.into())
            .number(self.skips_ended.into())
    }
}

impl Core {
    /// LOCK.RELEASE: gives back one hold on a resource, of several leases on the last; returns how many are left.
    ///
    /// # Errors
    /// If the owner does not hold it, or not under that fence, or the id of the request was used for another.
    pub fn release(
        &mut self,
        resource: &[u8],
        owner: &[u8],
        release: Release<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        self.advance(now, events);
        let fingerprint = || release.fingerprint(Operation::Release).text(owner).text(resource);
        let request = release.request.bind(fingerprint)?;
        if let Some(done) = self.done_before(&request)? {
            return done.counted();
        }
        let last = self.lease_under(resource, owner, release.fence).ok_or(Refused::NotHeld)?;
        let left = match self.leases[last].mode {
            Mode::Permits { .. } => self.give_back_permits(last, &release, events),
            Mode::Exclusive | Mode::Shared => {
                u64::from(self.leases[last].holds) - self.give_back(last, release.all, events)
            }
        };
        self.remember(&request, Done::Counted(left), events);
        self.finish(events);
        Ok(left)
    }

    /// Gives back permits, of which an owner may have several leases on a resource; returns how many holds are left.
    fn give_back_permits(&mut self, last: usize, release: &Release<'_>, events: &mut Events) -> u64 {
        let (owner, resource) = (self.leases[last].owner, self.leases[last].resource);
        let held = self.find_leases(resource, owner).map(|id| u64::from(self.leases[id].holds)).sum::<u64>();
        let leases = self.leases_for(release, last);
        let given: u64 = leases.iter().map(|&id| self.give_back(id, release.all, events)).sum();
        held - given
    }

    /// The leases on a resource that an owner gives back: all it has there, or the last.
    fn leases_for(&self, release: &Release<'_>, last: usize) -> SmallVec<[usize; 1]> {
        if release.all && release.fence.is_none() {
            self.find_leases(self.leases[last].resource, self.leases[last].owner).collect()
        } else {
            [last].into_iter().collect()
        }
    }

    /// Gives back one hold of a lease, or all; returns how many.
    fn give_back(&mut self, id: usize, all: bool, events: &mut Events) -> u64 {
        let lease = &mut self.leases[id];
        let holds = lease.holds;
        if holds > 1 && !all {
            lease.holds -= 1;
            let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
            events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds: lease.holds });
            return 1;
        }
        self.counts.released += 1;
        self.end_lease(id, NoticeKind::Released, b"", events);
        holds.into()
    }

    /// LOCK.MRELEASE: gives back several resources; returns how many are free of the owner now.
    ///
    /// # Errors
    /// If the owner does not hold them all under that fence, then it keeps those it holds; if none is named; if the id
    /// of the request was used for another.
    pub fn release_many(
        &mut self,
        resources: &[&[u8]],
        owner: &[u8],
        release: Release<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        self.advance(now, events);
        let fingerprint = || release.fingerprint(Operation::ReleaseMany).text(owner).texts(resources);
        let request = release.request.bind(fingerprint)?;
        if let Some(done) = self.done_before(&request)? {
            return done.counted();
        }
        let last = resources.iter().filter_map(|resource| self.lease_under(resource, owner, release.fence));
        let held: SmallVec<[_; 1]> = last.map(|last| self.leases_for(&release, last)).collect();
        if held.is_empty() || (held.len() < resources.len() && !release.skips_ended) {
            return Err(Refused::NotHeld);
        }
        let mut leases: SmallVec<[usize; 4]> = held.into_iter().flatten().collect();
        leases.sort_unstable();
        leases.dedup();
        let mut freed = 0;
        for id in leases {
            let is_last = self.leases[id].holds == 1 || release.all;
            self.give_back(id, release.all, events);
            freed += u64::from(is_last);
        }
        self.remember(&request, Done::Counted(freed), events);
        self.finish(events);
        Ok(freed)
    }

    /// LOCK.FORCE: takes a resource away from one owner, or from all who hold it; returns from how many.
    ///
    /// # Errors
    /// If the id of the request was used for another.
    pub fn force(
        &mut self,
        resource: &[u8],
        owner: Option<&[u8]>,
        reason: &[u8],
        request: RequestId<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        self.advance(now, events);
        let request = request
            .bind(|| Fingerprint::of(Operation::Force).text(resource).texts(owner.as_slice()).text(reason))?;
        if let Some(done) = self.done_before(&request)? {
            return done.counted();
        }
        let place = self.resources.find(resource);
        let mut leases = place.map_or_else(Vec::new, |place| self.resources[place].holders.to_vec());
        if let Some(owner) = owner {
            leases.retain(|&id| self.owners.name(self.leases[id].owner) == owner);
        }
        for &id in &leases {
            self.end_lease(id, NoticeKind::Forced, reason, events);
        }
        let forced = leases.len() as u64;
        self.counts.forced += forced;
        self.remember(&request, Done::Counted(forced), events);
        self.finish(events);
        Ok(forced)
    }
}
