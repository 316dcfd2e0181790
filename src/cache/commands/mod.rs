//! What clients can say to the cache, a file per family.

pub mod compare;
pub mod counters;
pub mod databases;
pub mod expiry;
mod extended;
pub mod increx;
pub mod keys;
pub mod lcs;
pub mod many;
pub mod object;
pub mod prefixes;
pub mod ranges;
mod string_options;
pub mod strings;
pub mod walks;
