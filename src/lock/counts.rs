//! What has happened to locks since the start.

/// Numbers of events since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Grants.
    pub granted: u64,
    /// Leases that were given back.
    pub released: u64,
    /// Leases that were renewed.
    pub renewed: u64,
    /// Leases whose time was over.
    pub expired: u64,
    /// Leases that an operator has ended.
    pub forced: u64,
    /// Leases that ended with a session that was lost.
    pub lost: u64,
    /// Requests that had to wait.
    pub waited: u64,
    /// Requests whose time to wait was over.
    pub timed_out: u64,
    /// Grants that were taken back because who waited had gone.
    pub withdrawn: u64,
    /// Deadlocks that were refused.
    pub deadlocks: u64,
}
