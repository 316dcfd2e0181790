//! What clients can say to the cache, a file per family.

pub mod counters;
pub mod many;
pub mod ranges;
mod string_options;
pub mod strings;
