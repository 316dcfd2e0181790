//! How much memory the table takes: reckoned from what there is, so that it costs nothing to keep.

use super::Model;
use super::waiter::Waiter;
use crate::lock::refused::Refused;

/// Besides its own place a lease has one in the order of what falls due, and in the lists of its resource and its owner.
const LEASE_BYTES: usize = 48;

/// The same of a waiter, with its mailbox.
const WAITER_BYTES: usize = size_of::<Waiter>() + 256;

/// A session with what falls due for it; its leases are counted as such.
const SESSION_BYTES: usize = 256;

impl Model {
    /// Bytes that leases, waiters, sessions and remembered requests take, about.
    pub fn memory(&self) -> usize {
        self.resources.bytes()
            + self.owners.bytes()
            + self.leases.bytes()
            + self.leases.len() * LEASE_BYTES
            + self.waiters.len() * WAITER_BYTES
            + self.sessions.len() * SESSION_BYTES
            + self.request_ids.bytes()
            + self.meta_bytes
    }

    /// Whether something may be added.  What gives back or renews is never asked.
    ///
    /// # Errors
    /// If too much memory is taken.
    pub(in crate::lock) fn check_memory(&self) -> Result<(), Refused> {
        if self.memory_limit != 0 && self.memory() > self.memory_limit {
            return Err(Refused::NoMemory);
        }
        Ok(())
    }
}
