//! Sessions: many leases kept alive by one ping, or by one connection.
//!
//! A session that is closed ends its leases at once.  One that is lost, because nobody pinged it or its connection has
//! ended, keeps them for its delay: time for what its holder had begun to come to an end, and for the holder to come
//! back.  A ping within the delay saves the session.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::fmt;

use super::core::{Core, Due};
use super::events::{Events, NoticeKind, Outcome, WaiterId};
use super::idempotency::{Done, Fingerprint, Operation};
use super::limits::{DELAY_MAX, SESSIONS_MAX};
use super::operation::{CloseSession, Disconnect, OpenSession, PingSession, SessionTerms};
use super::records::Record;
use super::refused::Refused;

/// Interner a session; it is not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// Sixteen hexadecimal digits: text, since not all languages keep 64 bits of a number.
impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl SessionId {
    /// The session of that name; none if no session can have it.
    pub fn parse(name: &[u8]) -> Option<SessionId> {
        let is_name = name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(name).ok().filter(|_| is_name)?;
        u64::from_str_radix(digits, 16).ok().filter(|&id| id != 0).map(SessionId)
    }
}

/// A session.
pub(super) struct Session {
    pub(super) ttl: Option<u64>,
    pub(super) delay: u64,
    pub(super) is_bound: bool,
    connection: Option<u64>,
    /// When it is lost, or after its loss when its leases end; in microseconds.
    pub(super) deadline: Option<u64>,
    pub(super) is_lost: bool,
    pub(super) leases: HashSet<usize>,
    pub(super) waiters: HashSet<WaiterId>,
    /// The key under which the request that opened it is remembered; empty if it had no id.
    pub(super) request: Box<[u8]>,
    /// How many retries of that request were told of it.
    pub(super) claims: u32,
}

impl Core {
    /// LOCK.SESSION OPEN.  `id` is random; if it is taken the next one is used.
    ///
    /// # Errors
    /// If a time is out of range, nothing would ever end the session, or there are too many; if it has ended since the
    /// request was made first; if the id of the request was used for another.
    pub fn open_session(
        &mut self,
        open: &OpenSession<'_>,
        now: u64,
        events: &mut Events,
    ) -> Result<SessionId, Refused> {
        let &OpenSession { id, terms, request } = open;
        self.advance(now, events);
        let request = request.bind(|| {
            let opening = Fingerprint::of(Operation::OpenSession).optional(terms.ttl).number(terms.delay);
            opening.number(terms.connection.is_some().into())
        })?;
        if let Some(done) = self.done_before(&request)? {
            let Done::Opened(id) = done else { return Err(Refused::RequestIdUsed) };
            // Its reply was lost on a connection that may not be known to have ended.
            self.unbind(id);
            self.keep_session(id, terms.connection)?;
            if let Some(session) = self.sessions.get_mut(&id) {
                session.claims += 1;
            }
            return Ok(id);
        }
        if let Some(ttl) = terms.ttl {
            super::requests::check_ttl(ttl)?;
        }
        if terms.delay > DELAY_MAX {
            return Err(Refused::Delay);
        }
        if terms.ttl.is_none() && terms.connection.is_none() {
            return Err(Refused::EndlessSession);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Refused::ManySessions);
        }
        self.check_memory()?;
        let mut id = SessionId(id.max(1));
        while self.sessions.contains_key(&id) {
            id = SessionId(id.0.wrapping_add(1).max(1));
        }
        self.enter_session(id, terms, terms.connection.is_some());
        let SessionTerms { ttl, delay, connection } = terms;
        let (ttl, is_bound) = (ttl.unwrap_or(0), connection.is_some());
        events.record(&Record::SessionOpened { session: id.0, ttl, delay, is_bound });
        self.remember(&request, Done::Opened(id), events);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.request = request.key;
        }
        self.finish(events);
        Ok(id)
    }

    pub(super) fn enter_session(&mut self, id: SessionId, terms: SessionTerms, is_bound: bool) {
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

    /// LOCK.SESSION PING: the session and its leases last their full time from now.  Binds a session that was bound to
    /// a connection to that of the ping, if the former has ended.  Returns the time, in milliseconds.
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
        let request = request.bind(|| Fingerprint::of(Operation::PingSession).number(id.0))?;
        self.done_before(&request)?;
        let ttl = self.keep_session(id, connection)?;
        self.remember(&request, Done::Counted(0), events);
        Ok(ttl)
    }

    fn keep_session(&mut self, id: SessionId, connection: Option<u64>) -> Result<Option<u64>, Refused> {
        let session = self.sessions.get(&id).ok_or(Refused::NoSession)?;
        if session.is_bound && session.connection.is_none() && connection.is_none() {
            return Err(Refused::NoSession);
        }
        let ttl = session.ttl;
        self.revive(id, connection);
        Ok(ttl)
    }

    /// Starts a session's time anew.
    fn revive(&mut self, id: SessionId, connection: Option<u64>) {
        let session = self.sessions.get_mut(&id).expect("who calls has found it");
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

    /// Has no connection end the session.
    fn unbind(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id);
        let Some(connection) = session.and_then(|session| session.connection.take()) else { return };
        if let Entry::Occupied(mut bound) = self.connections.entry(connection) {
            bound.get_mut().retain(|other| *other != id);
            if bound.get().is_empty() {
                bound.remove();
            }
        }
    }

    fn reschedule(&mut self, id: SessionId, old: Option<u64>, new: Option<u64>) {
        if let Some(old) = old {
            self.due.remove(&(old, Due::Session(id)));
        }
        if let Some(new) = new {
            self.due.insert((new, Due::Session(id)));
        }
    }

    /// LOCK.SESSION CLOSE: ends a session and its leases; returns how many leases those were.
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
        let request = request.bind(|| Fingerprint::of(Operation::CloseSession).number(id.0))?;
        if let Some(done) = self.done_before(&request)? {
            return done.counted();
        }
        if !self.sessions.contains_key(&id) {
            return Err(Refused::NoSession);
        }
        let ended = self.end_session(id, NoticeKind::Released, events) as u64;
        self.counts.released += ended;
        self.remember(&request, Done::Counted(ended), events);
        self.finish(events);
        Ok(ended)
    }

    /// A connection has ended, and with it its sessions.
    pub fn disconnect(&mut self, &Disconnect { connection }: &Disconnect, now: u64, events: &mut Events) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        self.advance(now, events);
        for id in self.connections.remove(&connection).unwrap_or_default() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.connection = None;
                self.lose_session(id, events);
            }
        }
        self.finish(events);
    }

    pub(super) fn session_due(&mut self, id: SessionId, events: &mut Events) {
        let session = self.sessions.get_mut(&id).expect("what is due is there");
        session.deadline = None;
        if session.is_lost {
            // That it was lost was said when its delay began.
            self.lose_leases(id, NoticeKind::Expired, events);
        } else {
            self.lose_session(id, events);
        }
    }

    /// Nobody keeps the session any more: nothing new is granted for it, and its leases end after the delay.
    pub(super) fn lose_session(&mut self, id: SessionId, events: &mut Events) {
        let session = self.sessions.get_mut(&id).expect("who calls has found it");
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

    fn lose_leases(&mut self, id: SessionId, kind: NoticeKind, events: &mut Events) {
        let ended = self.end_session(id, kind, events);
        self.counts.lost += ended as u64;
    }

    /// Ends a session with its leases, which one record says, so that recovery ends all or none.
    pub(super) fn end_session(&mut self, id: SessionId, kind: NoticeKind, events: &mut Events) -> usize {
        events.record(&Record::SessionEnded { session: id.0 });
        self.end_waiting(id, events);
        self.unbind(id);
        let session = self.sessions.remove(&id).expect("who calls has found it");
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

    fn end_waiting(&mut self, id: SessionId, events: &mut Events) {
        let mut waiters: Vec<WaiterId> = self.sessions[&id].waiters.iter().copied().collect();
        waiters.sort_unstable();
        for waiter in waiters {
            self.remove_waiter(waiter);
            events.answer(waiter, Outcome::SessionEnded);
        }
    }
}

/// In an order that is the same in every run.
fn sorted(leases: &HashSet<usize>) -> Vec<usize> {
    let mut leases: Vec<usize> = leases.iter().copied().collect();
    leases.sort_unstable();
    leases
}
