//! How much memory the Lua of all threads takes: a figure for the whole process, since a thread has one Lua for all servers.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A thread tells of its memory once that has changed by so many bytes, so that threads seldom meet here.
const STEP: usize = 16 * 1024;

static ALL: AtomicUsize = AtomicUsize::new(0);

/// What a thread has told.
struct Told(usize);

impl Drop for Told {
    fn drop(&mut self) {
        ALL.fetch_sub(self.0, Relaxed);
    }
}

thread_local! {
    static TOLD: RefCell<Told> = const { RefCell::new(Told(0)) };
}

/// Notes how much this thread's Lua takes.
pub(super) fn note(bytes: usize) {
    TOLD.with_borrow_mut(|told| {
        if bytes.abs_diff(told.0) >= STEP {
            // The sum of both changes is right, and nothing is subtracted that was not added before.
            ALL.fetch_add(bytes, Relaxed);
            ALL.fetch_sub(told.0, Relaxed);
            told.0 = bytes;
        }
    });
}

/// Bytes that the Lua of all threads takes, to within some kilobytes for each.
pub(super) fn all() -> usize {
    ALL.load(Relaxed)
}
