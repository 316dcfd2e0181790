//! Giving back: by the holder, by an operator, and in the name of who has gone.

use smallvec::SmallVec;

use super::core::Core;
use super::events::{Events, NoticeKind};
use super::records::Record;
use super::refused::Refused;
use super::request_ids::{Done, Fingerprint, Operation, RequestId};

/// How an owner gives back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Release<'a> {
    /// Only what is held under this fence.
    pub fence: Option<u64>,
    /// However often it is held.
    pub all: bool,
    /// Whether what has ended already is no obstacle to giving back the rest of several.
    pub skips_ended: bool,
    /// Names the request, so that it can be repeated.
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
        let leases = self.leases_for(&release, resource, owner);
        let &first = leases.first().ok_or(Refused::NotHeld)?;
        let (owner, resource) = (self.leases[first].owner, self.leases[first].resource);
        let held = self.find_leases(resource, owner).map(|id| u64::from(self.leases[id].holds)).sum::<u64>();
        let given: u64 = leases.iter().map(|&id| self.give_back(id, release.all, events)).sum();
        let left = held - given;
        self.remember(&request, Done::Counted(left), events);
        self.finish(events);
        Ok(left)
    }

    /// The leases on a resource that an owner gives back: all it has there, or the last.
    fn leases_for(&self, release: &Release<'_>, resource: &[u8], owner: &[u8]) -> SmallVec<[usize; 1]> {
        let last = self.lease_under(resource, owner, release.fence);
        let Some(last) = last.filter(|_| release.all && release.fence.is_none()) else {
            return last.into_iter().collect();
        };
        self.find_leases(self.leases[last].resource, self.leases[last].owner).collect()
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
        let held = resources.iter().map(|resource| self.leases_for(&release, resource, owner));
        let held: SmallVec<[_; 1]> = held.filter(|leases| !leases.is_empty()).collect();
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
