//! The memory of the table, computed from numbers that are there anyway.

use super::Model;
use super::waiter::Waiter;
use crate::lock::refused::Refused;

/// A lease besides its slot: its deadline, and its entries in the lists of its resource and its owner.
const LEASE_BYTES: usize = 48;

/// A waiter with its mailbox.
const WAITER_BYTES: usize = size_of::<Waiter>() + 256;

/// A session with its deadline, without its leases.
const SESSION_BYTES: usize = 256;

impl Model {
    /// Bytes of leases, waiters, sessions and remembered requests, about.
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

    /// Whether a lease, waiter or session may be added.  Releasing and renewing never ask.
    ///
    /// # Errors
    /// If the memory has reached its limit.
    pub(in crate::lock) fn check_memory(&self) -> Result<(), Refused> {
        if self.memory_limit != 0 && self.memory() > self.memory_limit {
            return Err(Refused::NoMemory);
        }
        Ok(())
    }
}
