//! Rebuilding the table from its records.
//!
//! A snapshot is taken in steps, between which the table goes on, so a part of it may have seen records that are
//! replayed on top of it.  What a record says about a lease, a session or a request is then simply made so, whatever is
//! there: the last one counts, and it is as new as anything that the snapshot has seen.  What is already gone by then
//! is passed over.  Outside of that stretch a record that does not fit stops the start.

use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;
use crate::lock::model::events::Events;
use crate::lock::model::grants::GrantTerms;
use crate::lock::model::idempotency::Bound;
use crate::lock::notice::NoticeKind;
use crate::lock::operation::SessionTerms;
use crate::lock::records::{Granted, Record};
use crate::lock::scheduler::Core;

/// A record that cannot be followed: it cannot be read, or does not fit the records before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRecord;

impl Core {
    /// Makes the change of a record again; `now` in microseconds.  Leases last their full time from now.
    ///
    /// # Errors
    /// If the record cannot be followed.
    pub fn replay(&mut self, record: &[u8], now: u64) -> Result<(), BadRecord> {
        self.model.now = self.model.now.max(now);
        // Its consequences have records of their own.
        let events = &mut Events::default();
        match Record::read(record).ok_or(BadRecord)? {
            Record::FenceRange { upto } => self.model.fences.skip_to(upto),
            Record::Granted(granted) => self.replay_grant(&granted, events)?,
            Record::Renewed { owner, resource, fence, ttl } => {
                if let Some(id) = self.replayed_lease(resource, owner, fence)? {
                    self.model.extend_lease(id, ttl, events);
                }
            }
            Record::Holds { owner, resource, fence, holds } => {
                if let Some(id) = self.replayed_lease(resource, owner, fence)? {
                    self.model.leases[id].holds = holds;
                }
            }
            Record::Ended { owner, resource, fence } => {
                if let Some(id) = self.replayed_lease(resource, owner, fence)? {
                    self.model.remove_lease(id, events);
                }
            }
            Record::ModeChanged { owner, resource, mode, fence } => {
                self.model.fences.skip_to(fence);
                if let Some(id) = self.replayed_lease(resource, owner, None)? {
                    self.model.change_mode(id, mode, fence, events);
                }
            }
            Record::SessionOpened { session, ttl, delay, is_bound } => {
                let ttl = Some(ttl).filter(|&ttl| ttl != 0);
                self.model.enter_session(
                    SessionId(session),
                    SessionTerms { ttl, delay, connection: None },
                    is_bound,
                );
            }
            Record::SessionEnded { session } => {
                if self.model.sessions.contains_key(&SessionId(session)) {
                    self.model.end_session(SessionId(session), NoticeKind::Released, events);
                } else if !self.model.replays_seen {
                    return Err(BadRecord);
                }
            }
            Record::RequestDone { key, fingerprint, done } => {
                self.model.request_ids.remember(key, fingerprint, done, self.model.now);
            }
            Record::RequestForgotten { key } => self.model.request_ids.forget(key),
            Record::SnapshotBegun => self.model.replays_seen = true,
            Record::SnapshotEnded => self.model.replays_seen = false,
            Record::Obsolete => {}
        }
        self.finish(events);
        Ok(())
    }

    /// The lease that a record is about; none if it has ended by the time of the snapshot, or has another fence by
    /// then.
    fn replayed_lease(
        &self,
        resource: &[u8],
        owner: &[u8],
        fence: Option<u64>,
    ) -> Result<Option<usize>, BadRecord> {
        let lease = self.model.lease_under(resource, owner, fence);
        if lease.is_none() && !self.model.replays_seen { Err(BadRecord) } else { Ok(lease) }
    }

    fn replay_grant(&mut self, granted: &Granted<'_>, events: &mut Events) -> Result<(), BadRecord> {
        if self.model.replays_seen {
            // An owner has one lease on a resource, or several on permits, each with its fence.
            let is_on_permits = matches!(granted.mode, Mode::Permits { .. });
            let fence = is_on_permits.then_some(granted.fence);
            for resource in &granted.resources {
                while let Some(id) = self.model.lease_under(resource, granted.owner, fence) {
                    self.model.remove_lease(id, events);
                }
            }
        }
        let owner = self.model.owners.intern(granted.owner);
        let session = Some(SessionId(granted.session)).filter(|session| session.0 != 0);
        let terms = GrantTerms {
            owner,
            mode: granted.mode,
            ttl: Some(granted.ttl).filter(|&ttl| ttl != 0),
            session,
            meta: granted.meta,
            request: &Bound::default(),
            since: self.model.now,
        };
        if let Some(session) = session.filter(|session| !self.model.sessions.contains_key(session)) {
            if !self.model.replays_seen {
                return Err(BadRecord);
            }
            // A later record has its terms, or its end.
            self.model.enter_session(session, SessionTerms::default(), false);
        }
        self.model.fences.skip_to(granted.fence);
        for name in &granted.resources {
            let resource = self.model.resources.intern(name);
            let fits = match granted.mode {
                // How many there were when they were granted is not known any more.
                Mode::Permits { count, .. } => {
                    self.model.resources[resource].load.admits(Mode::Permits { count, of: u32::MAX })
                }
                mode => {
                    self.model.resources[resource].load.admits(mode)
                        && self.model.find_lease(resource, owner).is_none()
                }
            };
            if !fits && !self.model.replays_seen {
                return Err(BadRecord);
            }
            let id = self.model.add_lease(&terms, resource, granted.fence);
            self.model.leases[id].holds = granted.holds;
        }
        Ok(())
    }

    /// After the last record: sessions whose connections ended with the server are lost.
    pub fn recovered(&mut self, now: u64, events: &mut Events) {
        self.model.replays_seen = false;
        self.advance(now, events);
        let mut bound: Vec<SessionId> =
            self.model.sessions.iter().filter(|(_, session)| session.is_bound).map(|(&id, _)| id).collect();
        bound.sort_unstable();
        for id in bound {
            self.model.lose_session(id, events);
        }
        self.finish(events);
    }
}
