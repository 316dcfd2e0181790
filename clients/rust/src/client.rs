//! The client and its sessions.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, IntoConnectionInfo, cmd};

use crate::Result;
use crate::holding::{Holding, Kind};
use crate::lease::Held;
use crate::limiter::{Check, Limiter, Rate};
use crate::lock::Lock;
use crate::renewal::Renewal;
use crate::reply::{self, Decision};
use crate::term::{Term, milliseconds, now, unique};
use crate::transport::Transport;

/// How long the server may take to answer, beside the time that it was asked to wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What leases and limiters need of their client.
pub(crate) struct Parts {
    pub(crate) transport: Transport,
    pub(crate) renewal: Renewal,
}

/// Locks, semaphores, sessions and limits of a server.
///
/// It makes connections of its own with the settings of a client of redis-rs, and renews all that it holds together.  Clones
/// share both, and a lease keeps them alive.
#[derive(Clone)]
pub struct Quartet(Arc<Parts>);

impl Quartet {
    /// Locks and limits of the server that this client is for, which answers within ten seconds.
    #[must_use]
    pub fn new(client: Client) -> Quartet {
        Quartet::with_timeout(client, TIMEOUT)
    }

    /// The same with another time in which the server is to answer.
    #[must_use]
    pub fn with_timeout(client: Client, timeout: Duration) -> Quartet {
        // Renewals never wait for a connection, nor do others wait for them.
        let renewal = Renewal::new(Transport::new(client.clone(), timeout));
        Quartet(Arc::new(Parts { transport: Transport::new(client, timeout), renewal }))
    }

    /// The same for an address such as `redis://:password@host:6379` (`rediss` for TLS, with that feature of redis-rs).
    ///
    /// # Errors
    ///
    /// That it is no address.
    pub fn open(address: impl IntoConnectionInfo) -> Result<Quartet> {
        Ok(Quartet::new(Client::open(address)?))
    }

    /// A lock of one resource.
    pub fn lock(&self, resource: impl Into<String>) -> Lock {
        Lock::new(&self.0, vec![resource.into()], None)
    }

    /// A lock of several resources together, of which there is at least one.
    pub fn lock_all<Name: Into<String>>(&self, resources: impl IntoIterator<Item = Name>) -> Lock {
        Lock::new(&self.0, resources.into_iter().map(Into::into).collect(), None)
    }

    /// A semaphore with so many permits in all, of which each acquisition takes one.
    pub fn semaphore(&self, resource: impl Into<String>, limit: u32) -> Lock {
        self.lock(resource).of_permits(limit)
    }

    /// Opens a session, which keeps any number of locks with one ping.  Its locks outlive this program for the first time;
    /// for the second, nobody else is granted them after it is lost.
    ///
    /// # Errors
    ///
    /// An error of the connection, or a limit of the server that was reached.
    pub async fn session(&self, ttl: Duration, delay: Duration) -> Result<Session> {
        let mut command = cmd("LOCK.SESSION");
        command.arg("OPEN").arg("TTL").arg(milliseconds(ttl));
        if !delay.is_zero() {
            command.arg("DELAY").arg(milliseconds(delay));
        }
        command.arg("REQID").arg(unique());
        let sent = now();
        let reply = self.0.transport.call(command, Duration::ZERO).await?;
        let name: String = redis::from_redis_value(reply).map_err(redis::RedisError::from)?;
        let label = format!("the session {name}");
        let holding = Holding::new(
            label,
            Kind::Session { name, leases: Default::default() },
            Term { length: ttl, began: sent },
        );
        self.0.renewal.keep(&holding);
        Ok(Session(Held { parts: Arc::clone(&self.0), holding }))
    }

    /// A policy of the server; a new server has one called `default`.
    #[must_use]
    pub fn limiter(&self, policy: impl Into<String>) -> Limiter {
        Limiter::of_policy(&self.0, policy.into())
    }

    /// A limit that is stated here.
    #[must_use]
    pub fn rate(&self, rate: Rate) -> Limiter {
        Limiter::of_rate(&self.0, rate)
    }

    /// Takes from several policies, each with its own key and cost: from all of them or from none.
    ///
    /// # Errors
    ///
    /// An error of the connection, or that there is no such policy.  A refusal is none.
    pub async fn check_all(&self, checks: &[Check<'_>]) -> Result<Decision> {
        let mut command = cmd("RL.MCHECK");
        command.arg(checks.len());
        for check in checks {
            command.arg(check.policy).arg(check.key).arg(check.cost);
        }
        let largest = checks.iter().map(|check| check.cost).max().unwrap_or(0);
        let reply = self.0.transport.call(command, Duration::ZERO).await?;
        Ok(reply::decision(reply, largest, &[], &[])?.0)
    }
}

/// An open session.  Its locks last as long as it does, and are lost with it.
#[must_use = "a session that is dropped is closed"]
pub struct Session(Held);

impl Session {
    /// A lock of one resource.
    pub fn lock(&self, resource: impl Into<String>) -> Lock {
        Lock::new(&self.0.parts, vec![resource.into()], Some(Arc::clone(&self.0.holding)))
    }

    /// A lock of several resources together, of which there is at least one.
    pub fn lock_all<Name: Into<String>>(&self, resources: impl IntoIterator<Item = Name>) -> Lock {
        let names = resources.into_iter().map(Into::into).collect();
        Lock::new(&self.0.parts, names, Some(Arc::clone(&self.0.holding)))
    }

    /// A semaphore with so many permits in all, of which each acquisition takes one.
    pub fn semaphore(&self, resource: impl Into<String>, limit: u32) -> Lock {
        self.lock(resource).of_permits(limit)
    }

    /// Waits until it is lost, with all its leases.
    pub async fn lost(&self) {
        self.0.holding.lost.cancelled().await;
    }

    /// Fails if it is lost by now.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Lost`].
    pub fn check(&self) -> Result<()> {
        self.0.holding.check()
    }

    /// Ends it and frees all its locks.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Lost`] if it was lost before.
    pub async fn close(self) -> Result<()> {
        self.0.release().await
    }
}
