//! Where what of the limiter outlives the server is written, as all threads see it.
//!
//! The thread that keeps the limits opens the journal and waits for the disk.  All others find it here without a lock.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::journal::Journal;

/// See the head of the file.
#[derive(Default)]
pub struct Keeping {
    journal: ArcSwapOption<Journal>,
}

impl Keeping {
    /// The journal, once there is something in it.
    pub fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.load_full()
    }

    /// Lets all threads see the journal.
    pub fn publish(&self, journal: &Arc<Journal>) {
        self.journal.store(Some(Arc::clone(journal)));
    }
}
