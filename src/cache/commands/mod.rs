//! The commands of the cache, a file per family.

pub mod conditional_delete;
pub mod counters;
pub mod databases;
pub mod dump;
pub mod expiry;
pub mod hash_numbers;
pub mod hash_samples;
pub mod hashes;
pub mod increx;
pub mod keys;
pub mod lcs;
pub mod list_edits;
pub mod list_moves;
pub mod lists;
mod long_double;
pub mod multi_key;
pub mod object;
mod payload;
pub mod prefixes;
pub mod ranges;
pub mod scan;
mod string_options;
pub mod strings;
