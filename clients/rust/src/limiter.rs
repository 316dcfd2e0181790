//! Rate limits: checks, reservations and slots.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value, cmd};

use crate::client::Parts;
use crate::holding::{Holding, Kind};
use crate::lease::{Held, Slot};
use crate::reply::{self, Decision};
use crate::term::{Term, milliseconds, now};
use crate::{Error, Result};

/// A limit that a request states itself, in place of a policy.
#[derive(Clone, Debug)]
pub struct Rate {
    /// `gcra`, `sliding`, `log`, `fixed`, `leaky` or `refill`.
    pub algorithm: &'static str,
    /// How much is allowed in a period.
    pub limit: u64,
    /// The period.
    pub period: Duration,
    /// How much is allowed at once; the limit unless it is given.
    pub burst: Option<u64>,
}

/// A policy, a key and a cost.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The name of the policy.
    pub policy: &'a str,
    /// The key.
    pub key: &'a str,
    /// How much to take.
    pub cost: u64,
}

/// A policy of the server, or a limit that the requests themselves state.
#[derive(Clone)]
pub struct Limiter {
    parts: Arc<Parts>,
    limit: Limit,
}

#[derive(Clone)]
enum Limit {
    Policy(String),
    Rate(Rate),
}

impl Limiter {
    pub(crate) fn of_policy(parts: &Arc<Parts>, policy: String) -> Limiter {
        Limiter { parts: Arc::clone(parts), limit: Limit::Policy(policy) }
    }

    pub(crate) fn of_rate(parts: &Arc<Parts>, rate: Rate) -> Limiter {
        Limiter { parts: Arc::clone(parts), limit: Limit::Rate(rate) }
    }

    /// Takes the cost from all limits of the policy, or from none.
    ///
    /// # Errors
    ///
    /// An error of the connection, or that there is no such policy.  A refusal is none; see [`Decision::allowed`].
    pub async fn check(&self, key: &str, cost: u64) -> Result<Decision> {
        self.decide(self.request(key, cost), cost, Duration::ZERO).await
    }

    /// Only asks.
    ///
    /// # Errors
    ///
    /// As [`Limiter::check`].
    pub async fn peek(&self, key: &str, cost: u64) -> Result<Decision> {
        let mut command = self.request(key, cost);
        command.arg("PEEK");
        self.decide(command, 0, Duration::ZERO).await
    }

    /// Takes as much as is left, up to the cost.
    ///
    /// # Errors
    ///
    /// As [`Limiter::check`].
    pub async fn check_up_to(&self, key: &str, cost: u64) -> Result<Decision> {
        let mut command = self.request(key, cost);
        command.arg("UPTO");
        self.decide(command, cost, Duration::ZERO).await
    }

    /// Waits its turn for so long.
    ///
    /// # Errors
    ///
    /// As [`Limiter::check`].
    pub async fn check_within(&self, key: &str, cost: u64, wait: Duration) -> Result<Decision> {
        let mut command = self.request(key, cost);
        command.arg("WAIT").arg(milliseconds(wait));
        self.decide(command, cost, wait).await
    }

    /// Runs the future if the limiter allows it.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] if it does not; those of the check and of the future.
    pub async fn run<T, E: From<Error>>(
        &self,
        key: &str,
        cost: u64,
        run: impl AsyncFnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let decision = self.check(key, cost).await?.allowed()?;
        tokio::time::sleep(decision.delay).await;
        run().await
    }

    /// Takes what may be needed, for [`Reservation::commit`] to settle within this time.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] if it is refused.
    pub async fn reserve(&self, key: &str, cost: u64, ttl: Duration) -> Result<Reservation> {
        let mut command = cmd("RL.RESERVE");
        command.arg(1).arg(self.policy()?).arg(key).arg(cost).arg("TTL").arg(milliseconds(ttl));
        let reply = self.parts.transport.call(command, Duration::ZERO).await?;
        let (decision, fields) = reply::decision(reply, cost, &["id", "expires_in_ms"], &[])?;
        let decision = decision.allowed()?;
        Ok(Reservation { parts: Arc::clone(&self.parts), id: fields.get("id")?, decision })
    }

    /// Takes a slot of a policy with the algorithm `concurrency`, and renews it until it is released.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] if none is free.
    pub async fn enter(&self, key: &str, ttl: Duration) -> Result<Slot> {
        let policy = self.policy()?;
        let mut command = cmd("RL.ENTER");
        command.arg(policy).arg(key).arg("TTL").arg(milliseconds(ttl));
        let sent = now();
        let reply = self.parts.transport.call(command, Duration::ZERO).await?;
        let (decision, fields) = reply::decision(reply, 1, &["slot"], &[])?;
        decision.allowed()?;
        let label = format!("the slot of {key} under {policy}");
        let kind = Kind::Slot { policy: policy.to_owned(), key: key.to_owned(), slot: fields.get("slot")? };
        let holding = Holding::new(label, kind, Term { length: ttl, began: sent });
        self.parts.renewal.keep(&holding);
        Ok(Slot(Held { parts: Arc::clone(&self.parts), holding }))
    }

    /// Gives a key everything back.
    ///
    /// # Errors
    ///
    /// An error of the connection, or that there is no such policy.
    pub async fn reset(&self, key: &str) -> Result<()> {
        let mut command = cmd("RL.RESET");
        command.arg(key).arg("POLICY").arg(self.policy()?);
        self.parts.transport.call(command, Duration::ZERO).await.map(|_| ())
    }

    /// Makes or replaces the policy, with the JSON that `PUT /policies/{name}` takes.
    ///
    /// # Errors
    ///
    /// An error of the connection, or one that names the fault of the definition.
    pub async fn define(&self, definition: &str) -> Result<()> {
        let mut command = cmd("RL.POLICY");
        command.arg("SET").arg(self.policy()?).arg("JSON").arg(definition);
        self.parts.transport.call(command, Duration::ZERO).await.map(|_| ())
    }

    fn policy(&self) -> Result<&str> {
        match &self.limit {
            Limit::Policy(name) => Ok(name),
            Limit::Rate(_) => Err(Error::NoPolicy),
        }
    }

    fn request(&self, key: &str, cost: u64) -> Cmd {
        let mut command = cmd("RL.CHECK");
        command.arg(key);
        match &self.limit {
            Limit::Policy(name) => {
                command.arg("POLICY").arg(name);
            }
            Limit::Rate(rate) => {
                command.arg("INLINE").arg(rate.algorithm).arg(rate.limit).arg(milliseconds(rate.period));
                if let Some(burst) = rate.burst {
                    command.arg("BURST").arg(burst);
                }
            }
        }
        command.arg("COST").arg(cost);
        command
    }

    async fn decide(&self, command: Cmd, cost: u64, wait: Duration) -> Result<Decision> {
        let reply = self.parts.transport.call(command, wait).await?;
        Ok(reply::decision(reply, cost, &[], &["taken"])?.0)
    }
}

/// A cost that was taken before it is known.
pub struct Reservation {
    parts: Arc<Parts>,
    /// Its name.
    pub id: String,
    /// What the limiter decided.
    pub decision: Decision,
}

impl Reservation {
    /// Charges what was used.  Returns whether the reservation was still open.
    ///
    /// # Errors
    ///
    /// An error of the connection.
    pub async fn commit(self, actual: u64) -> Result<bool> {
        let mut command = cmd("RL.COMMIT");
        command.arg(&self.id).arg(actual);
        Ok(self.parts.transport.call(command, Duration::ZERO).await? == Value::Int(1))
    }

    /// Gives everything back.  Returns whether the reservation was still open.
    ///
    /// # Errors
    ///
    /// An error of the connection.
    pub async fn cancel(self) -> Result<bool> {
        let mut command = cmd("RL.CANCEL");
        command.arg(&self.id);
        Ok(self.parts.transport.call(command, Duration::ZERO).await? == Value::Int(1))
    }
}
