//! A session: many leases kept alive by one ping, or by one connection.

use std::collections::HashSet;

use crate::lock::identifiers::WaiterId;

/// A session.
pub(in crate::lock) struct Session {
    pub(in crate::lock) ttl: Option<u64>,
    pub(in crate::lock) delay: u64,
    pub(in crate::lock) is_bound: bool,
    pub(in crate::lock) connection: Option<u64>,
    /// When it is lost, in microseconds; once it is lost, when its leases end.
    pub(in crate::lock) deadline: Option<u64>,
    pub(in crate::lock) is_lost: bool,
    pub(in crate::lock) leases: HashSet<usize>,
    pub(in crate::lock) waiters: HashSet<WaiterId>,
    /// The key under which the request that opened it is remembered; empty if it had no id.
    pub(in crate::lock) request: Box<[u8]>,
    /// How many retries of that request were told of it.
    pub(in crate::lock) claims: u32,
}
