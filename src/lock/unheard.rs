//! Grants that nobody has heard of yet: while the disk or its client is waited for, time passes and the client may go.

use smallvec::SmallVec;

use super::core::Core;
use super::events::{Events, Grant, NoticeKind, Undo};
use super::modes::Mode;
use super::operation::{Confirm, CountRenewable, Remaining, SessionRemaining, Withdraw, WithdrawSession};
use super::records::Record;
use crate::clock::Now;

impl Grant {
    /// The grant as it is to be told now, without a look at the table.  None if that is needed to know what is left.
    pub fn at(&self, now: Now) -> Option<Grant> {
        let left = self.deadline?.saturating_sub(now.micros()) / 1000;
        (left > 0).then(|| Grant { ttl: Some(left), ..self.clone() })
    }
}

impl Core {
    /// What is left of a grant, if all of it is still held and lasts for a millisecond at least.
    pub fn remaining(
        &mut self,
        &Remaining { grant }: &Remaining<'_>,
        now: u64,
        events: &mut Events,
    ) -> Option<Grant> {
        self.advance(now, events);
        let leases = self.leases_of(grant);
        if leases.is_empty() || leases.len() < grant.leases.len() {
            return None;
        }
        let left = self.grant_of_all(&leases);
        (left.ttl != Some(0)).then(|| Grant { ttl: left.ttl, deadline: left.deadline, ..grant.clone() })
    }

    /// The same for a grant that nobody has heard of: what is no longer whole is withdrawn, and the request may be made anew.
    pub fn confirm(
        &mut self,
        &Confirm { grant }: &Confirm<'_>,
        now: u64,
        events: &mut Events,
    ) -> Option<Grant> {
        let left = self.remaining(&Remaining { grant }, now, events);
        if left.is_none() {
            self.withdraw(&Withdraw { grant }, now, events);
            if self.leases_of(grant).is_empty() {
                self.forget_request(&grant.request, events);
            }
        }
        left
    }

    /// Has a request that came to nothing be a new one when it is made again.
    fn forget_request(&mut self, key: &[u8], events: &mut Events) {
        if !key.is_empty() {
            self.request_ids.forget(key);
            events.record(&Record::RequestForgotten { key });
        }
    }

    /// The leases of a grant that have not ended.  The place of one that has may be another's; fences are never given
    /// twice.
    fn leases_of(&self, grant: &Grant) -> SmallVec<[usize; 1]> {
        let is_of_grant = |id: &usize| self.leases.get(*id).is_some_and(|lease| lease.fence == grant.fence);
        grant.leases.iter().copied().filter(is_of_grant).collect()
    }

    /// Takes back what was granted to somebody who has gone before the grant could be handed over, unless a retry was
    /// told of it and may have been heard.
    pub fn withdraw(&mut self, &Withdraw { grant }: &Withdraw<'_>, now: u64, events: &mut Events) {
        self.advance(now, events);
        if grant.undo == Undo::Nothing {
            return;
        }
        let mut leases = self.leases_of(grant);
        leases.retain(|&mut id| {
            let claims = &mut self.leases[id].claims;
            let is_unclaimed = *claims == 0;
            *claims = claims.saturating_sub(1);
            is_unclaimed
        });
        if !leases.is_empty() && grant.undo != Undo::Claim {
            self.forget_request(&grant.request, events);
        }
        for id in leases {
            self.undo(id, grant.undo, events);
        }
        self.finish(events);
    }

    /// Has a lease be as it was before a grant.
    fn undo(&mut self, id: usize, undo: Undo, events: &mut Events) {
        let lease = &mut self.leases[id];
        match undo {
            Undo::Nothing | Undo::Claim => return,
            Undo::Upgrade(fence) => {
                // Its owner may have changed it again, and knows.
                if lease.mode == Mode::Exclusive {
                    self.change_mode(id, Mode::Shared, fence, events);
                }
            }
            Undo::Hold if lease.holds > 1 => {
                lease.holds -= 1;
                let holds = lease.holds;
                let (owner, resource) = (self.owners.name(lease.owner), self.resources.name(lease.resource));
                events.record(&Record::Holds { owner, resource, fence: Some(lease.fence), holds });
            }
            Undo::Hold => self.end_lease(id, NoticeKind::Released, b"", events),
        }
        self.counts.withdrawn += 1;
    }

    /// How many leases of an owner have a time of their own.
    pub fn count_renewable(&mut self, count: &CountRenewable<'_>, now: u64, events: &mut Events) -> u64 {
        self.advance(now, events);
        let Some(owner) = self.owners.find(count.owner) else { return 0 };
        self.owners[owner].leases.iter().filter(|&&id| self.leases[id].deadline().is_some()).count() as u64
    }

    /// How long a session that is not lost lasts from now, in milliseconds, or that only its connection keeps it.  None if
    /// there is no such session, or none for long enough to be told of.
    pub fn session_remaining(
        &mut self,
        wanted: &SessionRemaining,
        now: u64,
        events: &mut Events,
    ) -> Option<Option<u64>> {
        self.advance(now, events);
        let session = self.sessions.get(&wanted.session).filter(|session| !session.is_lost)?;
        let left = session.deadline.map(|deadline| deadline.saturating_sub(self.now) / 1000);
        (left != Some(0)).then_some(left)
    }

    /// Ends a session whose name nobody has heard, unless a retry was told of it and may have been heard.
    pub fn withdraw_session(
        &mut self,
        &WithdrawSession { session: id }: &WithdrawSession,
        now: u64,
        events: &mut Events,
    ) {
        self.advance(now, events);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.claims > 0 {
            session.claims -= 1;
            return;
        }
        let request = std::mem::take(&mut session.request);
        self.forget_request(&request, events);
        self.end_session(id, NoticeKind::Released, events);
        self.finish(events);
    }
}
