//! Waiting for something that others do, between two visits to the store.

use std::future::poll_fn;

use super::context::Context;
use super::problem::Problem;
use super::problems;
use crate::wait::Barrier;

impl Context {
    /// What `something` comes to, such as the answer in a mailbox.
    ///
    /// If the client leaves, the future is dropped: whoever calls this keeps a guard that stops waiting and withdraws
    /// what was granted, as it has to be after an error too.
    ///
    /// # Errors
    /// If the server stops meanwhile.
    pub async fn wait_for<F: Future>(&self, something: F) -> Result<F::Output, Problem> {
        tokio::select! {
            biased;
            result = something => Ok(result),
            () = self.stopping().cancelled() => {
                Err(Problem::new(problems::UNAVAILABLE).detail("the server is stopping"))
            }
        }
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
