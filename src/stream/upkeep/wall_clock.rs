//! Moves of the wall clock: deadlines are kept by another clock, so those that are wall times are noted anew when somebody moves it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::clock::Now;
use crate::delivery::Effects;
use crate::stream::shared::Stream;
use crate::stream::streams::Streams;

/// The wall time minus the clock of deadlines at the last look, in microseconds.
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
    /// Does the periodic work of the streams, whatever clients do.
    pub fn keep_house(&self, now: Now, effects: &mut Effects) {
        // While the disk takes nothing, nobody else checks whether it works again.
        self.settle(effects);
        self.all().iter().for_each(|stream| stream.forget_readings());
        if self.hub().wall_offset.has_moved(now) {
            for stream in self.all() {
                stream.plan(&mut stream.state.lock(), effects);
            }
        }
    }
}

impl Stream {
    /// Consumers that have not read for a while let go of their files and memory: a file that was removed takes room on the disk as
    /// long as somebody has it.
    fn forget_readings(&self) {
        for slot in self.state.lock().consumers.slots_mut() {
            if !std::mem::take(&mut slot.has_read) {
                slot.reading = None;
            }
        }
    }
}
