//! What clients can say to the cache, a file per family.

pub mod compare;
pub mod counters;
mod extended;
pub mod increx;
pub mod lcs;
pub mod many;
pub mod ranges;
mod string_options;
pub mod strings;
