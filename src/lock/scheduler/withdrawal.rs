//! Grants that their owner was not told of yet: while they wait for the disk, time passes and the client may leave.

use super::Core;
use crate::lock::grant::{Grant, Withdrawal};
use crate::lock::model::events::Events;
use crate::lock::notice::NoticeKind;
use crate::lock::operation::{
    Confirm, CountRenewable, Remaining, SessionRemaining, Withdraw, WithdrawSession,
};

impl Core {
    /// See [`Remaining`].  None if a part of the grant has ended, or less than a millisecond is left.
    pub fn remaining(
        &mut self,
        &Remaining { grant }: &Remaining<'_>,
        now: u64,
        events: &mut Events,
    ) -> Option<Grant> {
        self.advance(now, events);
        let leases = self.model.leases_of(grant);
        if leases.is_empty() || leases.len() < grant.leases.len() {
            return None;
        }
        let left = self.model.grant_of_all(&leases);
        (left.ttl != Some(0)).then(|| Grant { ttl: left.ttl, deadline: left.deadline, ..grant.clone() })
    }

    /// See [`Confirm`].  A withdrawn request may be made anew.
    pub fn confirm(
        &mut self,
        &Confirm { grant }: &Confirm<'_>,
        now: u64,
        events: &mut Events,
    ) -> Option<Grant> {
        let left = self.remaining(&Remaining { grant }, now, events);
        if left.is_none() {
            self.withdraw(&Withdraw { grant }, now, events);
            if self.model.leases_of(grant).is_empty() {
                self.model.forget_request(&grant.request, events);
            }
        }
        left
    }

    /// See [`Withdraw`].
    pub fn withdraw(&mut self, &Withdraw { grant }: &Withdraw<'_>, now: u64, events: &mut Events) {
        self.advance(now, events);
        if grant.withdrawal == Withdrawal::Nothing {
            return;
        }
        let mut leases = self.model.leases_of(grant);
        leases.retain(|&mut id| {
            let claims = &mut self.model.leases[id].claims;
            let is_unclaimed = *claims == 0;
            *claims = claims.saturating_sub(1);
            is_unclaimed
        });
        if !leases.is_empty() && grant.withdrawal != Withdrawal::Claim {
            self.model.forget_request(&grant.request, events);
        }
        for id in leases {
            self.model.take_back(id, grant.withdrawal, events);
        }
        self.finish(events);
    }

    /// See [`CountRenewable`].
    pub fn count_renewable(&mut self, count: &CountRenewable<'_>, now: u64, events: &mut Events) -> u64 {
        self.advance(now, events);
        let Some(owner) = self.model.owners.find(count.owner) else { return 0 };
        self.model.owners[owner]
            .leases
            .iter()
            .filter(|&&id| self.model.leases[id].deadline().is_some())
            .count() as u64
    }

    /// See [`SessionRemaining`].  In milliseconds; the inner option is none if only the connection keeps the session,
    /// the outer one if the session is not there, is lost, or lasts less than a millisecond.
    pub fn session_remaining(
        &mut self,
        wanted: &SessionRemaining,
        now: u64,
        events: &mut Events,
    ) -> Option<Option<u64>> {
        self.advance(now, events);
        let session = self.model.sessions.get(&wanted.session).filter(|session| !session.is_lost)?;
        let left = session.deadline.map(|deadline| deadline.saturating_sub(self.model.now) / 1000);
        (left != Some(0)).then_some(left)
    }

    /// See [`WithdrawSession`].
    pub fn withdraw_session(
        &mut self,
        &WithdrawSession { session: id }: &WithdrawSession,
        now: u64,
        events: &mut Events,
    ) {
        self.advance(now, events);
        let Some(session) = self.model.sessions.get_mut(&id) else { return };
        if session.claims > 0 {
            session.claims -= 1;
            return;
        }
        let request = std::mem::take(&mut session.request);
        self.model.forget_request(&request, events);
        self.model.end_session(id, NoticeKind::Released, events);
        self.finish(events);
    }
}
