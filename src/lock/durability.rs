//! How much of the locks outlives the server.

/// What of the locks outlives the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Nothing.
    #[default]
    None,
    /// That no fence is given twice; leases end with the server.
    Fence,
    /// Leases as well: they last their full time from the next start.
    Full,
}
