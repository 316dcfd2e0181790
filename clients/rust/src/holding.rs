//! What a client holds and keeps alive.  Nothing here does I/O or waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};
use tokio_util::sync::CancellationToken;

use crate::term::{Term, milliseconds, now};
use crate::{Error, Result};

/// How a holding is renewed.
pub(crate) enum Kind {
    /// Resources under one fencing token.
    Lock { resources: Vec<String>, owner: String, token: u64, session: Option<Arc<Holding>> },
    /// A session with the leases that it keeps.  A ping asks after each of them.
    Session { name: String, leases: Mutex<Vec<Weak<Holding>>> },
    /// A slot of a limit on concurrency.
    Slot { policy: String, key: String, slot: String },
}

/// What changes about a holding.
struct State {
    term: Term,
    due: Instant,
    /// Given back by its holder, so that whatever an answer under way says is of no interest.
    is_released: bool,
    lost: Option<Error>,
}

/// Something that ends by itself unless it is renewed: a lease, a session or a slot.
pub(crate) struct Holding {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// Cancelled once it is lost.
    pub(crate) lost: CancellationToken,
    state: Mutex<State>,
}

impl Holding {
    pub(crate) fn new(label: String, kind: Kind, term: Term) -> Arc<Holding> {
        let state = State { term, due: term.due_at(), is_released: false, lost: None };
        Arc::new(Holding { label, kind, lost: CancellationToken::new(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn term(&self) -> Term {
        self.state().term
    }

    pub(crate) fn due(&self) -> Instant {
        self.state().due
    }

    pub(crate) fn is_released(&self) -> bool {
        self.state().is_released
    }

    /// When it counts as lost unless it is renewed before.
    pub(crate) fn lost_at(&self) -> Instant {
        match &self.kind {
            Kind::Lock { session: Some(session), .. } => session.lost_at(),
            _ => self.state().term.lost_at(),
        }
    }

    /// For how long it is certainly held, without a further renewal: for no time if it is lost or given back.
    pub(crate) fn remaining(&self) -> Duration {
        if self.check().is_err() { Duration::ZERO } else { self.lost_at().saturating_duration_since(now()) }
    }

    /// Notes that it is lost, once.
    pub(crate) fn lose(&self, reason: &str) {
        {
            let mut state = self.state();
            if state.lost.is_some() || state.is_released {
                return;
            }
            state.lost = Some(Error::lost(&self.label, reason));
        }
        self.lost.cancel();
        if let Kind::Session { leases, .. } = &self.kind {
            for lease in alive(leases) {
                lease.lose(&format!("its session is lost: {reason}"));
            }
        }
    }

    /// Fails if it is held no longer: lost by now, by the clock as well, or given back with its session.
    pub(crate) fn check(&self) -> Result<()> {
        self.look()?;
        if self.is_released() { Err(Error::NotHeld) } else { Ok(()) }
    }

    /// Fails if it is lost by now, by the clock as well.
    pub(crate) fn look(&self) -> Result<()> {
        if now() >= self.lost_at() {
            self.lose("it was not renewed in time: the server did not answer, or this program was paused");
        }
        self.state().lost.clone().map_or(Ok(()), Err)
    }

    /// Notes that its holder gives it back.  Returns whether the server is to be told; fails if it was lost before.
    pub(crate) fn release(&self) -> Result<bool> {
        self.look()?;
        Ok(!std::mem::replace(&mut self.state().is_released, true))
    }

    /// Notes that the server did not hold it any more when it was given back, and returns the error that says so.
    pub(crate) fn was_lost(&self, reason: &str) -> Error {
        self.state().is_released = false;
        self.lose(reason);
        self.state().lost.clone().unwrap_or_else(|| Error::lost(&self.label, reason))
    }

    /// It lasts its full length from the moment this was sent.
    pub(crate) fn renewed(&self, sent: Instant) {
        let mut state = self.state();
        state.term.began = sent;
        state.due = state.term.due_at();
    }

    /// A renewal had no answer, or one that tells nothing.
    pub(crate) fn try_again(&self, at: Instant) {
        let mut state = self.state();
        state.due = state.term.again_at(at);
    }

    /// The commands that renew it, and for a session the leases that it asks after.
    pub(crate) fn renewals(&self) -> (Vec<Cmd>, Vec<Arc<Holding>>) {
        let length = milliseconds(self.term().length);
        match &self.kind {
            Kind::Lock { resources, owner, token, .. } => {
                let renew = |resource| {
                    let mut command = cmd("LOCK.RENEW");
                    command.arg(resource).arg(owner).arg("TTL").arg(length).arg("FENCE").arg(*token);
                    command
                };
                (resources.iter().map(renew).collect(), Vec::new())
            }
            Kind::Session { name, leases } => {
                let mut ping = cmd("LOCK.SESSION");
                ping.arg("PING").arg(name);
                let mut commands = vec![ping];
                let asked = alive(leases);
                for lease in &asked {
                    commands.extend(lease.checks());
                }
                (commands, asked)
            }
            Kind::Slot { policy, key, slot } => {
                let mut command = cmd("RL.RENEW");
                command.arg(policy).arg(key).arg(slot).arg("TTL").arg(length);
                (vec![command], Vec::new())
            }
        }
    }

    /// The commands that ask whether it is still held.
    fn checks(&self) -> Vec<Cmd> {
        let Kind::Lock { resources, token, .. } = &self.kind else { return Vec::new() };
        let check = |resource| {
            let mut command = cmd("LOCK.CHECK");
            command.arg(resource).arg(*token);
            command
        };
        resources.iter().map(check).collect()
    }

    /// Takes the replies of its renewals, which were sent then.
    pub(crate) fn settle(&self, replies: &[Value], asked: &[Arc<Holding>], sent: Instant) {
        match self.judge(replies, asked) {
            Ok(None) => self.renewed(sent),
            Ok(Some(reason)) => self.lose(reason),
            // A server that is loading, or has no disk, may yet answer in time.
            Err(_) => self.try_again(sent),
        }
    }

    /// Why it is lost according to the replies; nothing if it goes on.
    fn judge(&self, replies: &[Value], asked: &[Arc<Holding>]) -> Result<Option<&'static str>> {
        let mut answers = replies.iter().map(|reply| match reply {
            Value::ServerError(error) => Err(Error::of_server(error)),
            Value::Int(number) => Ok(*number),
            _ => Ok(1),
        });
        match &self.kind {
            Kind::Lock { .. } => {
                for answer in answers {
                    match answer {
                        Err(Error::NotHeld) => {
                            return Ok(Some("the server says that it was forced, or that its lease ended"));
                        }
                        other => other?,
                    };
                }
            }
            Kind::Session { .. } => {
                match answers.next() {
                    Some(Err(Error::Lost { .. })) => {
                        return Ok(Some("the server says that the session has ended"));
                    }
                    other => other.transpose()?,
                };
                for lease in asked {
                    for answer in answers.by_ref().take(lease.checks().len()) {
                        if answer? == 0 {
                            lease.lose("the server says that it was forced");
                        }
                    }
                }
            }
            Kind::Slot { .. } => {
                if answers.next().transpose()? == Some(0) {
                    return Ok(Some("the server says that the slot is not held any more"));
                }
            }
        }
        Ok(None)
    }

    /// Is asked after by its session from now on.
    pub(crate) fn join_session(self: &Arc<Holding>) {
        let Kind::Lock { session: Some(session), .. } = &self.kind else { return };
        if let Kind::Session { leases, .. } = &session.kind {
            leases.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(self));
        }
        if session.lost.is_cancelled() {
            self.lose("its session is lost");
        }
    }

    /// The end of a session gives all its leases back.
    pub(crate) fn release_leases(&self) {
        if let Kind::Session { leases, .. } = &self.kind {
            for lease in alive(leases) {
                lease.state().is_released = true;
            }
        }
    }
}

/// The leases that somebody still has and that are not given back; the others are forgotten.
fn alive(leases: &Mutex<Vec<Weak<Holding>>>) -> Vec<Arc<Holding>> {
    let mut leases = leases.lock().unwrap_or_else(PoisonError::into_inner);
    leases.retain(|lease| lease.upgrade().is_some_and(|lease| !lease.is_released()));
    leases.iter().filter_map(Weak::upgrade).collect()
}
