//! Sockets, and the threads that serve them.  Only these files and `http` know sockets.

pub mod dealer;
pub mod listener;
mod poll_waker;
mod round;
mod tcp;
mod thread_state;
mod tick;
mod wakeups;
pub mod worker;
