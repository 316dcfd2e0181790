//! Sockets, and the threads that serve them.  Only these files and `http` know sockets.

pub mod dealer;
pub mod listener;
mod poll_waker;
mod tcp;
mod thread_state;
mod tick;
mod turns;
mod wakeups;
pub mod worker;
