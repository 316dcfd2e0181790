//! Locks and semaphores: what may be acquired, as often as you like.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, cmd};

use crate::client::Parts;
use crate::holding::{Holding, Kind};
use crate::lease::{Held, Lease, release};
use crate::reply::{self, Grant};
use crate::term::{LONGEST, Term, milliseconds, now, unique};
use crate::{Error, Result};

/// How long a lease lasts without renewal: how long others wait if its holder vanishes.
const TTL: Duration = Duration::from_secs(30);

/// A lease of which less than this part is certain when it is granted is renewed before its holder gets it.
const FRESH: f64 = 0.5;

/// One resource, or several that are only ever held together.
#[derive(Clone)]
#[must_use = "a lock is held once it is acquired"]
pub struct Lock {
    parts: Arc<Parts>,
    session: Option<Arc<Holding>>,
    resources: Vec<String>,
    permits: Option<(u32, u32)>,
    ttl: Duration,
    wait: Option<Duration>,
    is_shared: bool,
    is_reentrant: bool,
    owner: Option<String>,
    meta: Option<String>,
}

impl Lock {
    pub(crate) fn new(parts: &Arc<Parts>, resources: Vec<String>, session: Option<Arc<Holding>>) -> Lock {
        Lock {
            parts: Arc::clone(parts),
            session,
            resources,
            permits: None,
            ttl: TTL,
            wait: None,
            is_shared: false,
            is_reentrant: false,
            owner: None,
            meta: None,
        }
    }

    pub(crate) fn of_permits(self, limit: u32) -> Lock {
        Lock { permits: Some((1, limit)), ..self }
    }

    /// How long it outlives this program: half a minute unless it is given.
    pub fn ttl(self, ttl: Duration) -> Lock {
        Lock { ttl, ..self }
    }

    /// How long to wait for it: for ever unless it is given.
    pub fn wait(self, wait: Duration) -> Lock {
        Lock { wait: Some(wait), ..self }
    }

    /// Goes together with other shared holders.
    pub fn shared(self) -> Lock {
        Lock { is_shared: true, ..self }
    }

    /// Lets an owner acquire it once more.
    pub fn reentrant(self) -> Lock {
        Lock { is_reentrant: true, ..self }
    }

    /// How many permits of a semaphore to take: one unless it is given.
    pub fn permits(self, count: u32) -> Lock {
        Lock { permits: self.permits.map(|(_, limit)| (count, limit)), ..self }
    }

    /// Names the owner of the lease.  Without a name each acquisition has a new owner.
    pub fn owner(self, owner: impl Into<String>) -> Lock {
        Lock { owner: Some(owner.into()), ..self }
    }

    /// Is shown by LOCK.INFO.
    pub fn meta(self, meta: impl Into<String>) -> Lock {
        Lock { meta: Some(meta.into()), ..self }
    }

    /// Waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::NotAcquired`] when the time to wait is over, [`Error::Deadlock`] at once if it would never end.
    pub async fn acquire(&self) -> Result<Lease> {
        self.acquire_within(self.wait.unwrap_or(LONGEST)).await
    }

    /// Acquires it if nobody has to be waited for.
    ///
    /// # Errors
    ///
    /// [`Error::NotAcquired`] if it is held.
    pub async fn try_acquire(&self) -> Result<Lease> {
        self.acquire_within(Duration::ZERO).await
    }

    /// Holds the lock while the future runs.  If the lock is lost, the future is dropped where it waits.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] then, or if the end notices the loss; those of the acquisition and of the future.
    pub async fn hold<T, E: From<Error>>(
        &self,
        run: impl AsyncFnOnce(&Lease) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let lease = self.acquire().await?;
        let ran = lease.lost_token().run_until_cancelled_owned(run(&lease)).await;
        let released = lease.release().await;
        match ran {
            // What it returns goes first.
            Some(Err(error)) => Err(error),
            Some(Ok(value)) => Ok(released.map(|()| value)?),
            None => Err(released.err().unwrap_or(Error::NotHeld).into()),
        }
    }

    /// Releases what the named owner holds, without its lease.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if it holds nothing, or none is named.
    pub async fn release(&self) -> Result<()> {
        let owner = self.owner.as_deref().ok_or(Error::NotHeld)?;
        self.parts.transport.call(release(&self.resources, owner, None), Duration::ZERO).await.map(|_| ())
    }

    async fn acquire_within(&self, wait: Duration) -> Result<Lease> {
        let owner = self.owner.clone().unwrap_or_else(|| format!("{}:{}", std::process::id(), unique()));
        let wait = wait.min(LONGEST);
        let sent = now();
        let reply = self.parts.transport.call(self.request(&owner, wait), wait).await?;
        let grant = reply::grant(reply)?.ok_or(Error::NotAcquired)?;
        let lease = self.lease(owner, &grant, sent);
        if self.session.is_some() {
            lease.0.holding.join_session();
            return Ok(lease);
        }
        if lease.remaining() < self.ttl.mul_f64(FRESH) {
            self.renew(&lease).await?;
        }
        self.parts.renewal.keep(&lease.0.holding);
        Ok(lease)
    }

    fn request(&self, owner: &str, wait: Duration) -> Cmd {
        let mut command;
        if let [resource] = &self.resources[..] {
            command = cmd("LOCK.ACQUIRE");
            command.arg(resource).arg(owner);
        } else {
            command = cmd("LOCK.MACQUIRE");
            command.arg(owner).arg(self.resources.len()).arg(&self.resources);
        }
        match self.session.as_deref().map(|session| &session.kind) {
            Some(Kind::Session { name, .. }) => command.arg("SESSION").arg(name),
            _ => command.arg("TTL").arg(milliseconds(self.ttl)),
        };
        if !wait.is_zero() {
            command.arg("WAIT").arg(milliseconds(wait));
        }
        if let Some((count, limit)) = self.permits {
            command.arg("PERMITS").arg(count).arg("OF").arg(limit);
        } else if self.is_shared {
            command.arg("SHARED");
        }
        if self.is_reentrant {
            command.arg("REENTRANT");
        }
        if let Some(meta) = &self.meta {
            command.arg("META").arg(meta);
        }
        command.arg("REQID").arg(unique());
        command
    }

    fn lease(&self, owner: String, grant: &Grant, sent: Instant) -> Lease {
        // The whole lease lies behind the wait, whichever attempt at sending the request was answered.
        let missing = self.ttl.saturating_sub(grant.left.unwrap_or(self.ttl));
        let began = sent + grant.waited;
        let term = Term { length: self.ttl, began: began.checked_sub(missing).unwrap_or(sent) };
        let (resources, session) = (self.resources.clone(), self.session.clone());
        let kind = Kind::Lock { resources, owner, token: grant.token, session };
        let holding = Holding::new(self.resources.join(", "), kind, term);
        Lease(Held { parts: Arc::clone(&self.parts), holding })
    }

    /// Makes more of it certain.
    async fn renew(&self, lease: &Lease) -> Result<()> {
        let sent = now();
        for command in lease.0.holding.renewals().0 {
            match self.parts.transport.call(command, Duration::ZERO).await {
                Err(Error::NotHeld) => return Err(lease.0.holding.was_lost("as soon as it was granted")),
                other => other?,
            };
        }
        lease.0.holding.renewed(sent);
        Ok(())
    }
}
