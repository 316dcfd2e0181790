//! Sockets: the only files, with `http`, that know them.

pub mod listener;
mod poll_waker;
mod tcp;
mod tick;
mod wakeups;
pub mod worker;
