//! Counts of the events of locks since the start.

/// Numbers of events since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Grants.
    pub granted: u64,
    /// Leases that were released.
    pub released: u64,
    /// Leases that were renewed.
    pub renewed: u64,
    /// Leases that expired.
    pub expired: u64,
    /// Leases that an operator has taken away.
    pub forced: u64,
    /// Leases that ended with a lost session.
    pub lost: u64,
    /// Requests that had to wait.
    pub waited: u64,
    /// Requests whose time to wait ended.
    pub timed_out: u64,
    /// Grants that were withdrawn because their waiter had left.
    pub withdrawn: u64,
    /// Deadlocks that were refused.
    pub deadlocks: u64,
}
