//! Waiting for something that others do, between two visits to the store.

use std::future::poll_fn;

use super::problem::Problem;
use super::problems;
use crate::wait::{Hold, Mailbox};

/// The answer that somebody puts into a mailbox.
///
/// If the client leaves, the future is dropped: whoever calls this keeps a guard that closes the mailbox and withdraws
/// what was granted.
pub async fn answer<T>(mailbox: &Mailbox<T>) -> T {
    poll_fn(|context| mailbox.poll_take(context.waker())).await
}

/// Returns once what a response promises is on the disk.
///
/// # Errors
/// If it never will be.
pub async fn on_disk(hold: &Hold) -> Result<(), Problem> {
    poll_fn(|context| hold.poll(context.waker()))
        .await
        .map_err(|_| Problem::new(problems::UNAVAILABLE).detail("the journal cannot be written"))
}
