//! How much of the locks outlives the server.

/// How much of the locks outlives the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Nothing.
    #[default]
    None,
    /// Fences: none is given out twice.  Leases end with the server.
    Fence,
    /// Leases as well: they last their full time from the next start.
    Full,
}
