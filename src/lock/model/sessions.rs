//! Sessions: many leases kept alive by one ping, or by one connection.
//!
//! Closing a session ends its leases at once.  A session is lost if it is not pinged in time or its connection ends.  A
//! lost session keeps its leases for its delay, in which its holder can finish what it had begun, or come back: a ping
//! within the delay saves the session.

use std::collections::HashSet;
use std::collections::hash_map::Entry;

use super::events::Events;
use super::session::Session;
use super::{Due, Model};
use crate::lock::identifiers::{SessionId, WaiterId};
use crate::lock::notice::NoticeKind;
use crate::lock::operation::SessionTerms;
use crate::lock::outcome::Outcome;
use crate::lock::records::Record;
use crate::lock::refused::Refused;

impl Model {
    pub(in crate::lock) fn enter_session(&mut self, id: SessionId, terms: SessionTerms, is_bound: bool) {
        let session = self.sessions.entry(id).or_insert_with(|| Session {
            ttl: None,
            delay: 0,
            is_bound: false,
            connection: None,
            deadline: None,
            is_lost: false,
            leases: HashSet::new(),
            waiters: HashSet::new(),
            request: Box::default(),
            claims: 0,
        });
        (session.ttl, session.delay, session.is_bound) = (terms.ttl, terms.delay, is_bound);
        self.revive(id, terms.connection);
    }

    pub(in crate::lock) fn keep_session(
        &mut self,
        id: SessionId,
        connection: Option<u64>,
    ) -> Result<Option<u64>, Refused> {
        let session = self.sessions.get(&id).ok_or(Refused::NoSession)?;
        if session.is_bound && session.connection.is_none() && connection.is_none() {
            return Err(Refused::NoSession);
        }
        let ttl = session.ttl;
        self.revive(id, connection);
        Ok(ttl)
    }

    /// Has a session last its full time from now.
    pub(in crate::lock) fn revive(&mut self, id: SessionId, connection: Option<u64>) {
        let session = self.sessions.get_mut(&id).expect("the caller has found it");
        session.is_lost = false;
        let deadline = session.ttl.map(|ttl| self.now + ttl * 1000);
        let old = std::mem::replace(&mut session.deadline, deadline);
        if session.is_bound && session.connection.is_none() {
            session.connection = connection;
            if let Some(connection) = connection {
                self.connections.entry(connection).or_default().push(id);
            }
        }
        self.reschedule(id, old, deadline);
    }

    /// Separates a session from its connection.
    pub(in crate::lock) fn unbind(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id);
        let Some(connection) = session.and_then(|session| session.connection.take()) else { return };
        if let Entry::Occupied(mut bound) = self.connections.entry(connection) {
            bound.get_mut().retain(|other| *other != id);
            if bound.get().is_empty() {
                bound.remove();
            }
        }
    }

    pub(in crate::lock) fn reschedule(&mut self, id: SessionId, old: Option<u64>, new: Option<u64>) {
        if let Some(old) = old {
            self.due.remove(&(old, Due::Session(id)));
        }
        if let Some(new) = new {
            self.due.insert((new, Due::Session(id)));
        }
    }

    pub(in crate::lock) fn session_due(&mut self, id: SessionId, events: &mut Events) {
        let session = self.sessions.get_mut(&id).expect("a session has a deadline while it is there");
        session.deadline = None;
        if session.is_lost {
            // The notice was given when the delay began.
            self.lose_leases(id, NoticeKind::Expired, events);
        } else {
            self.lose_session(id, events);
        }
    }

    /// Notes that a session is lost: it is granted nothing more, and its leases end after the delay.
    pub(in crate::lock) fn lose_session(&mut self, id: SessionId, events: &mut Events) {
        let session = self.sessions.get_mut(&id).expect("the caller has found it");
        if session.delay == 0 {
            return self.lose_leases(id, NoticeKind::Lost, events);
        }
        session.is_lost = true;
        let deadline = Some(self.now + session.delay * 1000);
        let old = std::mem::replace(&mut session.deadline, deadline);
        let leases = sorted(&session.leases);
        self.reschedule(id, old, deadline);
        self.end_waiting(id, events);
        for lease in leases {
            let lease = &self.leases[lease];
            self.notice(NoticeKind::Lost, lease.resource, lease.owner, lease.fence, b"", events);
        }
    }

    pub(in crate::lock) fn lose_leases(&mut self, id: SessionId, kind: NoticeKind, events: &mut Events) {
        let ended = self.end_session(id, kind, events);
        self.counts.lost += ended as u64;
    }

    /// Ends a session with its leases.  One record says so, so that recovery ends all of them or none.
    pub(in crate::lock) fn end_session(
        &mut self,
        id: SessionId,
        kind: NoticeKind,
        events: &mut Events,
    ) -> usize {
        events.record(&Record::SessionEnded { session: id.0 });
        self.end_waiting(id, events);
        self.unbind(id);
        let session = self.sessions.remove(&id).expect("the caller has found it");
        if let Some(deadline) = session.deadline {
            self.due.remove(&(deadline, Due::Session(id)));
        }
        for &lease in &sorted(&session.leases) {
            let ended = &self.leases[lease];
            self.notice(kind, ended.resource, ended.owner, ended.fence, b"", events);
            self.remove_lease(lease, events);
        }
        session.leases.len()
    }

    pub(in crate::lock) fn end_waiting(&mut self, id: SessionId, events: &mut Events) {
        let mut waiters: Vec<WaiterId> = self.sessions[&id].waiters.iter().copied().collect();
        waiters.sort_unstable();
        for waiter in waiters {
            self.remove_waiter(waiter);
            events.answer(waiter, Outcome::SessionEnded);
        }
    }
}

/// In the same order in every run.
fn sorted(leases: &HashSet<usize>) -> Vec<usize> {
    let mut leases: Vec<usize> = leases.iter().copied().collect();
    leases.sort_unstable();
    leases
}
