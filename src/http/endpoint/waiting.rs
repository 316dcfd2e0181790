//! Waiting for something that others do, between two visits to the store.
//!
//! A client may leave while its request waits.  The future of the request is dropped then, and what nobody will hear of is
//! taken back: a wait is cancelled, a grant is withdrawn.  That is done here and nowhere else.

use std::future::poll_fn;
use std::time::Duration;

use super::context::Context;
use super::problem::Problem;
use super::problems;
use crate::clock::Now;
use crate::command::{Awaited, Services};
use crate::delivery::{Effects, Slowed};
use crate::wait::{Barrier, Ticket};

impl Context {
    /// The result of `something`.
    ///
    /// # Errors
    /// If the server stops meanwhile.
    pub async fn wait_for<F: Future>(&self, something: F) -> Result<F::Output, Problem> {
        tokio::select! {
            biased;
            result = something => Ok(result),
            () = self.stopping().cancelled() => {
                Err(Problem::stopping())
            }
        }
    }

    /// Returns once a publisher that was slowed down may go on.
    pub async fn wait_while_crowded(&self, mut slowed: Slowed) {
        loop {
            let now = self.services().clock.now();
            if slowed.is_over(now) {
                return;
            }
            tokio::time::sleep(Duration::from_micros(slowed.look_at().saturating_sub(now.micros()))).await;
        }
    }

    /// The answer to a request that waits.  If the client leaves before, the wait is cancelled.
    ///
    /// # Errors
    /// If the server stops meanwhile.
    pub async fn answer<A: Awaited>(&self, ticket: Ticket<A>) -> Result<A, Problem> {
        let cancel = |services: &Services, now, effects: &mut _| A::cancel(&ticket, services, now, effects);
        let cancel = Undo::of(self, cancel);
        let answer = self.wait_for(poll_fn(|task| ticket.poll(task.waker()))).await?;
        cancel.forget();
        Ok(answer)
    }

    /// Returns once the operation is on the disk.  If that fails, or the client leaves before, `withdraw` undoes it.
    ///
    /// # Errors
    /// If it never will be on the disk.
    pub async fn on_disk_or(
        &self,
        barrier: &Barrier,
        withdraw: impl FnOnce(&Services, Now, &mut Effects),
    ) -> Result<(), Problem> {
        let withdraw = Undo::of(self, withdraw);
        on_disk(barrier).await?;
        withdraw.forget();
        Ok(())
    }
}

/// Returns once what a response promises is on the disk.
///
/// # Errors
/// If it never will be.
pub async fn on_disk(barrier: &Barrier) -> Result<(), Problem> {
    poll_fn(|waiter| barrier.poll(waiter.waker()))
        .await
        .map_err(|_| Problem::new(problems::UNAVAILABLE).detail("the journal cannot be written"))
}

/// Takes something back when it is dropped, unless that is forgotten.
struct Undo<'c, F: FnOnce(&Services, Now, &mut Effects)> {
    context: &'c Context,
    undo: Option<F>,
}

impl<'c, F: FnOnce(&Services, Now, &mut Effects)> Undo<'c, F> {
    fn of(context: &'c Context, undo: F) -> Undo<'c, F> {
        Undo { context, undo: Some(undo) }
    }

    fn forget(mut self) {
        self.undo = None;
    }
}

impl<F: FnOnce(&Services, Now, &mut Effects)> Drop for Undo<'_, F> {
    fn drop(&mut self) {
        if let Some(undo) = self.undo.take() {
            let (services, mut effects) = (self.context.services(), Effects::default());
            undo(services, self.context.now(), &mut effects);
            services.fan_out.deliver(&mut effects);
        }
    }
}
