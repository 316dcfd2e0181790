//! Which message was the first at a time.

use crate::stream::segment::ReadError;
use crate::stream::shared::Stream;

impl Stream {
    /// The first message stored at or after a time in nanoseconds since 1970, whether it is still there or not.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(in crate::stream) fn sequence_at(&self, time: i64) -> Result<Option<u64>, ReadError> {
        // Both at once: a message may be moved from the journal to a file meanwhile.
        let (segments, journaled) = {
            let state = self.state.lock();
            let contents = &state.data.contents;
            let journaled = contents.journaled.at_time(time).map(|message| message.sequence);
            (contents.segments.from(state.data.index.first()), journaled)
        };
        for segment in segments.iter().filter(|segment| segment.summary().last_time >= time) {
            if let Some(found) = segment.sequence_at_time(time)? {
                return Ok(Some(found));
            }
        }
        Ok(journaled)
    }
}
