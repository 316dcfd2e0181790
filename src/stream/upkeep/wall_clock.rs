//! What is due at a wall time, when somebody moves the wall clock: deadlines are noted by another clock, and noted anew then.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::clock::Now;
use crate::delivery::Effects;
use crate::stream::streams::Streams;

/// Wall time against the clock of deadlines when that was last looked at, in microseconds.
#[derive(Default)]
pub(in crate::stream) struct WallOffset(AtomicI64);

impl WallOffset {
    /// Whether somebody has moved the wall clock since the last call.
    fn has_moved(&self, now: Now) -> bool {
        let offset = now.wall_micros().saturating_sub_unsigned(now.micros());
        self.0.swap(offset, Relaxed) != offset
    }
}

impl Streams {
    /// Does what is due now and then, whatever clients do.
    pub fn keep_house(&self, now: Now, effects: &mut Effects) {
        // While the disk takes nothing, nobody else looks whether it does again.
        self.settle(effects);
        if self.hub().wall_offset.has_moved(now) {
            for stream in self.all() {
                stream.plan(&mut stream.state.lock(), effects);
            }
        }
    }
}
