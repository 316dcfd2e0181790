//! Primitives by which threads meet without a ranked lock: atomics, the waker of a mailbox, and ways to wait for a moment.
//!
//! The files that are modelled (`tests/models`) take these from here and nowhere else.  A model compiles the same files
//! with loom's in their place, and tries every order in which threads can take the steps.

use std::time::Duration;

pub use atomic_waker::AtomicWaker;
pub use std::hint::spin_loop;
pub use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
pub use std::thread::yield_now;

/// Sleeps for about so long.
pub fn nap(duration: Duration) {
    std::thread::park_timeout(duration);
}
