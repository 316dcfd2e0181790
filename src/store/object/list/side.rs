//! The ends of a list.

/// One end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The end of the first element.
    Left,
    /// The end of the last element.
    Right,
}
