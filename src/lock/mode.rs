//! How a resource can be held.

/// How a resource is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// By one.
    Exclusive,
    /// Together with others that share it.
    Shared,
    /// So many permits of a semaphore of that size.
    Permits {
        /// How many are held.
        count: u32,
        /// How many there are.
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

    /// Whether who holds the one holds the other: of a semaphore as many permits, however many there are.
    pub(in crate::lock) fn is_like(self, other: Mode) -> bool {
        match (self, other) {
            (Mode::Permits { count, .. }, Mode::Permits { count: other, .. }) => count == other,
            _ => self == other,
        }
    }

    /// Whether one may have to wait for the other.
    pub(in crate::lock) fn conflicts(self, other: Mode) -> bool {
        !matches!((self, other), (Mode::Shared, Mode::Shared))
    }
}
