//! How a resource can be held.

/// How a resource is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// By one owner.
    Exclusive,
    /// Together with other owners that share it.
    Shared,
    /// As permits of a semaphore.
    Permits {
        /// The permits that are held.
        count: u32,
        /// The permits that there are.
        of: u32,
    },
}

impl Mode {
    /// The word that replies use.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
            Mode::Permits { .. } => "permits",
        }
    }

    /// Whether a lease in one mode is as good as in the other: as many permits count as the same, whatever their total.
    pub(in crate::lock) fn is_like(self, other: Mode) -> bool {
        match (self, other) {
            (Mode::Permits { count, .. }, Mode::Permits { count: other, .. }) => count == other,
            _ => self == other,
        }
    }

    /// Whether a request in one mode may have to wait for the other.
    pub(in crate::lock) fn conflicts(self, other: Mode) -> bool {
        !matches!((self, other), (Mode::Shared, Mode::Shared))
    }
}
