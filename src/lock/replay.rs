//! Rebuilding the table from its records, and writing down what rebuilds it.

use super::core::{Core, Terms};
use super::events::Events;
use super::modes::Mode;
use super::records::{Granted, Record};
use super::request_ids::Bound;
use super::sessions::{SessionId, SessionTerms};

/// A record that cannot be followed: it is none, or does not fit what came before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRecord;

impl Core {
    /// Does again what a record says; `now` in microseconds.  Leases last their full time from now.
    ///
    /// # Errors
    /// If the record cannot be followed.
    pub fn replay(&mut self, record: &[u8], now: u64) -> Result<(), BadRecord> {
        self.now = self.now.max(now);
        // What it causes was written down already.
        let events = &mut Events::default();
        match Record::read(record).ok_or(BadRecord)? {
            Record::FenceRange { upto } => self.fences.skip_to(upto),
            Record::Granted(granted) => self.replay_grant(&granted)?,
            Record::Renewed { owner, resource, fence, ttl } => {
                let id = self.lease_under(resource, owner, fence).ok_or(BadRecord)?;
                self.extend_lease(id, ttl, events);
            }
            Record::Holds { owner, resource, fence, holds } => {
                let id = self.lease_under(resource, owner, fence).ok_or(BadRecord)?;
                self.leases[id].holds = holds;
            }
            Record::Ended { owner, resource, fence } => {
                let id = self.lease_under(resource, owner, fence).ok_or(BadRecord)?;
                self.remove_lease(id, events);
            }
            Record::ModeChanged { owner, resource, mode, fence } => {
                let id = self.lease_under(resource, owner, None).ok_or(BadRecord)?;
                self.fences.skip_to(fence);
                self.change_mode(id, mode, fence, events);
            }
            Record::SessionOpened { session, ttl, delay, is_bound } => {
                let ttl = Some(ttl).filter(|&ttl| ttl != 0);
                self.enter_session(
                    SessionId(session),
                    SessionTerms { ttl, delay, connection: None },
                    is_bound,
                );
            }
            Record::SessionEnded { session } => {
                if !self.sessions.contains_key(&SessionId(session)) {
                    return Err(BadRecord);
                }
                self.end_session(SessionId(session), super::events::NoticeKind::Released, events);
            }
            Record::RequestDone { key, fingerprint, done } => {
                self.request_ids.remember(key, fingerprint, done, self.now);
            }
            Record::RequestForgotten { key } => self.request_ids.forget(key),
            Record::Obsolete => {}
        }
        self.finish(events);
        Ok(())
    }

    fn replay_grant(&mut self, granted: &Granted<'_>) -> Result<(), BadRecord> {
        let owner = self.owners.intern(granted.owner);
        let session = Some(SessionId(granted.session)).filter(|session| session.0 != 0);
        let terms = Terms {
            owner,
            mode: granted.mode,
            ttl: Some(granted.ttl).filter(|&ttl| ttl != 0),
            session,
            meta: granted.meta,
            request: &Bound::default(),
            since: self.now,
        };
        if session.is_some_and(|session| !self.sessions.contains_key(&session)) {
            return Err(BadRecord);
        }
        self.fences.skip_to(granted.fence);
        for name in &granted.resources {
            let resource = self.resources.intern(name);
            let fits = match granted.mode {
                // How many there were when they were granted is not known any more.
                Mode::Permits { count, .. } => {
                    self.resources[resource].load.admits(Mode::Permits { count, of: u32::MAX })
                }
                mode => {
                    self.resources[resource].load.admits(mode) && self.find_lease(resource, owner).is_none()
                }
            };
            if !fits {
                return Err(BadRecord);
            }
            let id = self.add_lease(&terms, resource, granted.fence);
            self.leases[id].holds = granted.holds;
        }
        Ok(())
    }

    /// After the last record: sessions whose connections ended with the server are lost.
    pub fn recovered(&mut self, now: u64, events: &mut Events) {
        self.advance(now, events);
        let mut bound: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| session.is_bound).map(|(&id, _)| id).collect();
        bound.sort_unstable();
        for id in bound {
            self.lose_session(id, events);
        }
        self.finish(events);
    }

    /// Gives `write` the records that rebuild the table as it is; `with_leases` is false where only fences are kept.
    pub fn snapshot(&self, with_leases: bool, mut write: impl FnMut(&[u8])) {
        let mut bytes = Vec::new();
        let mut emit = |record: &Record<'_>| {
            bytes.clear();
            record.write(&mut bytes);
            write(&bytes);
        };
        emit(&Record::FenceRange { upto: self.fences.upto() });
        if !with_leases {
            return;
        }
        for (id, session) in &self.sessions {
            emit(&Record::SessionOpened {
                session: id.0,
                ttl: session.ttl.unwrap_or(0),
                delay: session.delay,
                is_bound: session.is_bound,
            });
        }
        for (_, lease) in &self.leases {
            emit(&Record::Granted(Granted {
                fence: lease.fence,
                ttl: lease.ttl.unwrap_or(0),
                mode: lease.mode,
                holds: lease.holds,
                session: lease.session.map_or(0, |session| session.0),
                owner: self.owners.name(lease.owner),
                meta: &lease.meta,
                resources: [self.resources.name(lease.resource)].into_iter().collect(),
            }));
        }
        for (key, fingerprint, done) in self.request_ids.iter() {
            emit(&Record::RequestDone { key, fingerprint, done });
        }
    }
}
