//! Sockets: the only files, with `http`, that know them.

pub mod listener;
mod tcp;
mod tick;
mod wakeups;
pub mod worker;
