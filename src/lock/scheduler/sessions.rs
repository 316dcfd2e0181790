//! Opening, keeping and ending sessions.

use super::{Core, check_ttl};
use crate::lock::identifiers::SessionId;
use crate::lock::limits::{DELAY_MAX, SESSIONS_MAX};
use crate::lock::model::events::Events;
use crate::lock::model::idempotency::{Done, Fingerprint, OperationKind};
use crate::lock::notice::NoticeKind;
use crate::lock::operation::{CloseSession, Disconnect, OpenSession, PingSession, SessionTerms};
use crate::lock::records::Record;
use crate::lock::refused::Refused;

impl Core {
    /// LOCK.SESSION OPEN: see [`OpenSession`].
    ///
    /// # Errors
    /// If a time is out of range, nothing would ever end the session, or there are too many; if the session has ended
    /// since the request was first made; if the id of the request was used for another.
    pub fn open_session(
        &mut self,
        open: &OpenSession<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<SessionId, Refused> {
        let &OpenSession { id, terms, request } = open;
        self.advance(now, events);
        let request = request.bind(|| {
            let opening = Fingerprint::of(OperationKind::OpenSession).optional(terms.ttl).number(terms.delay);
            opening.number(terms.connection.is_some().into())
        })?;
        if let Some(done) = self.model.done_before(&request)? {
            let Done::Opened(id) = done else { return Err(Refused::RequestIdUsed) };
            // The reply was lost with its connection, whose end may not be known yet.
            self.model.unbind(id);
            self.model.keep_session(id, terms.connection)?;
            if let Some(session) = self.model.sessions.get_mut(&id) {
                session.claims += 1;
            }
            return Ok(id);
        }
        if let Some(ttl) = terms.ttl {
            check_ttl(ttl)?;
        }
        if terms.delay > DELAY_MAX {
            return Err(Refused::Delay);
        }
        if terms.ttl.is_none() && terms.connection.is_none() {
            return Err(Refused::EndlessSession);
        }
        if self.model.sessions.len() >= SESSIONS_MAX {
            return Err(Refused::ManySessions);
        }
        self.model.check_memory()?;
        let mut id = SessionId(id.max(1));
        while self.model.sessions.contains_key(&id) {
            id = SessionId(id.0.wrapping_add(1).max(1));
        }
        self.model.enter_session(id, terms, terms.connection.is_some());
        let SessionTerms { ttl, delay, connection } = terms;
        let (ttl, is_bound) = (ttl.unwrap_or(0), connection.is_some());
        events.record(&Record::SessionOpened { session: id.0, ttl, delay, is_bound });
        self.model.remember(&request, Done::Opened(id), events);
        if let Some(session) = self.model.sessions.get_mut(&id) {
            session.request = request.key;
        }
        self.finish(events);
        Ok(id)
    }

    /// LOCK.SESSION PING: see [`PingSession`].  Returns the time to the next ping, in milliseconds; none if only the
    /// connection keeps the session.
    ///
    /// # Errors
    /// If there is no such session, or the id of the request was used for another.
    pub fn ping_session(
        &mut self,
        ping: &PingSession<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<Option<u64>, Refused> {
        let &PingSession { session: id, connection, request } = ping;
        self.advance(now, events);
        let request = request.bind(|| Fingerprint::of(OperationKind::PingSession).number(id.0))?;
        self.model.done_before(&request)?;
        let ttl = self.model.keep_session(id, connection)?;
        self.model.remember(&request, Done::Counted(0), events);
        Ok(ttl)
    }

    /// LOCK.SESSION CLOSE: see [`CloseSession`].  Returns how many leases have ended.
    ///
    /// # Errors
    /// If there is no such session, or the id of the request was used for another.
    pub fn close_session(
        &mut self,
        close: &CloseSession<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<u64, Refused> {
        let &CloseSession { session: id, request } = close;
        self.advance(now, events);
        let request = request.bind(|| Fingerprint::of(OperationKind::CloseSession).number(id.0))?;
        if let Some(done) = self.model.done_before(&request)? {
            return done.counted();
        }
        if !self.model.sessions.contains_key(&id) {
            return Err(Refused::NoSession);
        }
        let ended = self.model.end_session(id, NoticeKind::Released, events) as u64;
        self.model.counts.released += ended;
        self.model.remember(&request, Done::Counted(ended), events);
        self.finish(events);
        Ok(ended)
    }

    /// The connection has ended: its sessions are lost.
    pub fn disconnect(&mut self, &Disconnect { connection }: &Disconnect, now: u64, events: &mut Events) {
        if !self.model.connections.contains_key(&connection) {
            return;
        }
        self.advance(now, events);
        for id in self.model.connections.remove(&connection).unwrap_or_default() {
            if let Some(session) = self.model.sessions.get_mut(&id) {
                session.connection = None;
                self.model.lose_session(id, events);
            }
        }
        self.finish(events);
    }
}
