//! The segments of the journal, and those of their files that are open for reading.
//!
//! A file is opened when somebody reads it, and the files that were read last stay open.  A snapshot removes segments; a reader that has
//! one open can still read it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::segment::{FileId, HEAD};
use crate::disk::{Disk, PlacedRead};
use crate::lock_order::{Mutex, rank};
use crate::wait::Position;

/// Segments that stay open because they were read, beside those that readers have.
pub const OPEN_SEGMENTS_MAX: usize = 8;

/// See the module's text.
#[derive(Default)]
pub(super) struct Segments(Mutex<Known, { rank::JOURNAL_SEGMENTS }>);

#[derive(Default)]
struct Known {
    /// By the positions where they begin.
    segments: BTreeMap<Position, Arc<Segment>>,
    /// The one that was used last comes first.
    open: VecDeque<Arc<OpenSegment>>,
}

/// A segment, which has records or will have some.
pub(super) struct Segment {
    sequence: u64,
    start: Position,
    /// Where the next one begins.
    end: AtomicU64,
}

/// A segment that is open for reading.
pub(super) struct OpenSegment {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn PlacedRead>,
}

impl Segment {
    pub(super) fn id(&self) -> FileId {
        FileId::segment(self.sequence)
    }

    /// Where the next one begins; the largest position as long as this is the last.  Known before any record of the next one
    /// is on the disk.
    pub(super) fn end(&self) -> Position {
        Position(self.end.load(Ordering::Acquire))
    }

    /// The place in its file of a position that it has.
    pub(super) fn offset_of(&self, position: Position) -> u64 {
        HEAD as u64 + (position.0 - self.start.0)
    }

    pub(super) fn has(&self, position: Position) -> bool {
        self.start <= position && position < self.end()
    }
}

impl Segments {
    /// Adds the segment `sequence` behind all others.
    pub(super) fn begin(&self, sequence: u64, start: Position) {
        let segments = &mut self.0.lock().segments;
        if let Some((_, last)) = segments.last_key_value() {
            last.end.store(start.0, Ordering::Release);
        }
        segments.insert(start, Arc::new(Segment { sequence, start, end: AtomicU64::new(u64::MAX) }));
    }

    /// Forgets the segments before this one, which are removed.
    pub(super) fn forget_before(&self, sequence: u64) {
        let known = &mut *self.0.lock();
        known.segments.retain(|_, segment| segment.sequence >= sequence);
        known.open.retain(|open| open.segment.sequence >= sequence);
    }

    /// The segment that has a position, open; none if it was removed or never was.
    ///
    /// # Errors
    /// The disk's, with the segment.
    pub(super) fn open(
        &self,
        disk: &dyn Disk,
        position: Position,
    ) -> Result<Option<Arc<OpenSegment>>, (Arc<Segment>, io::Error)> {
        let segment = {
            let known = &mut *self.0.lock();
            if let Some(open) = known.find_open(position) {
                return Ok(Some(open));
            }
            let Some(segment) = known.find(position) else { return Ok(None) };
            segment
        };
        match disk.open(&segment.id().name()) {
            Ok(file) => Ok(Some(self.keep(segment, file))),
            // It was removed meanwhile.
            Err(_) if self.0.lock().find(position).is_none() => Ok(None),
            Err(error) => Err((segment, error)),
        }
    }

    fn keep(&self, segment: Arc<Segment>, file: Arc<dyn PlacedRead>) -> Arc<OpenSegment> {
        let open = Arc::new(OpenSegment { segment, file });
        let known = &mut *self.0.lock();
        // Another thread may have opened it as well, or a snapshot has removed it meanwhile.
        let start = open.segment.start;
        if known.segments.contains_key(&start) && known.find_open(start).is_none() {
            known.open.truncate(OPEN_SEGMENTS_MAX - 1);
            known.open.push_front(Arc::clone(&open));
        }
        open
    }
}

impl Known {
    fn find(&self, position: Position) -> Option<Arc<Segment>> {
        let (_, segment) = self.segments.range(..=position).next_back()?;
        segment.has(position).then(|| Arc::clone(segment))
    }

    fn find_open(&mut self, position: Position) -> Option<Arc<OpenSegment>> {
        let at = self.open.iter().position(|open| open.segment.has(position))?;
        let open = self.open.remove(at)?;
        self.open.push_front(Arc::clone(&open));
        Some(open)
    }
}
