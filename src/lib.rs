//! Quartet: a cache, a rate limiter, distributed locks and a message broker in one process.

pub mod glob;
pub mod settings;
