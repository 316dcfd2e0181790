//! What clients can say to the cache, a file per family.

pub mod strings;
