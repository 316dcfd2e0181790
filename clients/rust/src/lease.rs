//! Leases and slots that a client holds, and what they have in common.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value, cmd};

use crate::client::Parts;
use crate::holding::{Holding, Kind};
use crate::term::{milliseconds, unique};
use crate::{Error, Result};

/// Something that is renewed until it is given back, or lost.
pub(crate) struct Held {
    pub(crate) parts: Arc<Parts>,
    pub(crate) holding: Arc<Holding>,
}

impl Held {
    /// The command that gives it back, and the reply that says that it was not held.
    fn giving_back(&self) -> Cmd {
        match &self.holding.kind {
            Kind::Lock { resources, owner, token, .. } => release(resources, owner, Some(*token)),
            Kind::Session { name, .. } => {
                let mut command = cmd("LOCK.SESSION");
                command.arg("CLOSE").arg(name).arg("REQID").arg(unique());
                command
            }
            Kind::Slot { policy, key, slot } => {
                let mut command = cmd("RL.LEAVE");
                command.arg(policy).arg(key).arg(slot);
                command
            }
        }
    }

    pub(crate) async fn release(&self) -> Result<()> {
        self.parts.renewal.forget(&self.holding);
        if !self.holding.release()? {
            return Ok(());
        }
        self.holding.release_leases();
        let reply = self.parts.transport.call(self.giving_back(), Duration::ZERO).await;
        let is_gone = matches!(
            (&reply, &self.holding.kind),
            (Err(Error::NotHeld | Error::Lost { .. }), _) | (Ok(Value::Int(0)), Kind::Slot { .. })
        );
        if is_gone {
            return Err(self.holding.was_lost("it was forced, or its lease ended before its release"));
        }
        reply.map(|_| ())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.parts.renewal.forget(&self.holding);
        if !matches!(self.holding.release(), Ok(true)) {
            return;
        }
        self.holding.release_leases();
        // Nobody is told if this fails; the lease ends by itself then.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (parts, command) = (Arc::clone(&self.parts), self.giving_back());
            runtime.spawn(async move { parts.transport.call(command, Duration::ZERO).await.is_ok() });
        }
    }
}

/// Gives resources back together.
pub(crate) fn release(resources: &[String], owner: &str, token: Option<u64>) -> Cmd {
    let mut command;
    if let [resource] = resources {
        command = cmd("LOCK.RELEASE");
        command.arg(resource).arg(owner);
    } else {
        command = cmd("LOCK.MRELEASE");
        command.arg(owner).arg(resources.len()).arg(resources);
    }
    if let Some(token) = token {
        command.arg("FENCE").arg(token);
    }
    command.arg("REQID").arg(unique());
    command
}

/// One grant of a lock, a semaphore or several resources together.
///
/// It is renewed until it is released, or lost.  [`Lease::release`] gives it back and says whether it was held until then; a
/// lease that is only dropped is given back as well as may be, by a task, and nobody is told.
#[must_use = "a lease that is dropped is given back"]
pub struct Lease(pub(crate) Held);

impl Lease {
    fn parts(&self) -> (&[String], &str, u64) {
        match &self.0.holding.kind {
            Kind::Lock { resources, owner, token, .. } => (resources, owner, *token),
            _ => unreachable!("a lease is of a lock"),
        }
    }

    /// The resources that are held.
    #[must_use]
    pub fn resources(&self) -> &[String] {
        self.parts().0
    }

    /// The owner that holds it.  Locks that are taken within need the same one, so that the server finds deadlocks.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.parts().1
    }

    /// A number larger than those of all grants before: whatever the lock protects can refuse a smaller one.
    #[must_use]
    pub fn fencing_token(&self) -> u64 {
        self.parts().2
    }

    /// Waits until it is lost, which is before the server can grant it to anybody else.
    pub async fn lost(&self) {
        self.0.holding.lost.cancelled().await;
    }

    /// The same for whatever takes a token.
    #[must_use]
    pub fn lost_token(&self) -> tokio_util::sync::CancellationToken {
        self.0.holding.lost.child_token()
    }

    /// Fails if it is lost by now.  The clock is asked, so a program that was paused is told the truth as well.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`].
    pub fn check(&self) -> Result<()> {
        self.0.holding.check()
    }

    /// For how long it is certainly held, without a further renewal; zero once it is lost, or its session was given back.
    /// A lease that is given back by itself cannot be asked any more.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.holding.remaining()
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it was lost before; those of the connection, in which case it ends by itself.
    pub async fn release(self) -> Result<()> {
        self.0.release().await
    }

    /// Writes into Quartet's cache only if this grant still holds; both is one step.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it does not, and nothing was written.
    pub async fn fenced_set(&self, key: &str, value: &[u8], expires: Option<Duration>) -> Result<()> {
        self.check()?;
        let (resources, _, token) = self.parts();
        let mut command = cmd("FENCE.SET");
        command.arg(key).arg(value).arg("LOCK").arg(resources.first()).arg("FENCE").arg(token);
        if let Some(expires) = expires {
            command.arg("PX").arg(milliseconds(expires));
        }
        match self.0.parts.transport.call(command, Duration::ZERO).await {
            Err(Error::Lost { reason, .. }) => Err(self.0.holding.was_lost(&reason)),
            other => other.map(|_| ()),
        }
    }
}

/// A slot of a limit on concurrency.  It is renewed until it is released, or lost.
#[must_use = "a slot that is dropped is given back"]
pub struct Slot(pub(crate) Held);

impl Slot {
    /// Waits until it is lost.
    pub async fn lost(&self) {
        self.0.holding.lost.cancelled().await;
    }

    /// Fails if it is lost by now.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`].
    pub fn check(&self) -> Result<()> {
        self.0.holding.check()
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it was lost before.
    pub async fn release(self) -> Result<()> {
        self.0.release().await
    }
}
