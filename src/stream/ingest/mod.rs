//! What a message is checked for before a stream stores it.
//!
//! A message says in its headers what its publisher expects and wants.  [`Wishes`] reads that; [`decide`] says, from a stream's
//! definition and from what the stream has, whether the message is stored, was stored already, or is refused.  Limits by count and
//! bytes are not looked at here: they follow from the index.  [`MessageIds`] knows which ids have come within the window.

mod decision;
mod durations;
mod headers;
mod marked;
mod message_ids;

pub(super) use durations::parse as parse_duration;

pub use decision::{Stored, Terms, Verdict, decide, terms_of};
pub use headers::{Lifetime, Rollup, Schedule, Wishes};
pub use marked::raised;
pub use message_ids::{IDS_MAX, IdMark, KnownId, MessageIds};

/// Longest block of headers, in bytes.
pub const HEADERS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
