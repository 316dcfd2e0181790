//! Sockets, and the threads that serve them.  Only these files and `http` know sockets.

mod berth;
pub mod dealer;
mod event_loop;
pub mod listener;
mod poll_waker;
mod round;
mod tcp;
mod thread_state;
mod tick;
mod wakeups;
pub mod worker;
