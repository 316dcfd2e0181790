//! Writing a file anew without the messages that are gone.

use std::sync::Arc;

use super::appender::{AppendError, Appender};
use super::reader::{ReadError, Reader};
use super::segment::Segment;

/// Why a file was not written anew.  It stays as it is.
#[derive(Debug)]
pub enum RewriteError {
    /// It cannot be read, or is damaged: nothing of it is given up then.
    Read(ReadError),
    /// The new file cannot be written.
    Append(AppendError),
}

/// Appends the messages of a segment that are still stored, and ends the new file.  The segment's file can be removed once
/// a snapshot names the new one in its place.
///
/// # Errors
/// If the file cannot be read or the new one cannot be written; the appender is not used again then.
pub fn rewrite(
    segment: &Arc<Segment>,
    appender: &mut Appender,
    mut is_stored: impl FnMut(u64) -> bool,
) -> Result<(), RewriteError> {
    // The file that is being written belongs to other sequences.
    appender.seal().map_err(|error| RewriteError::Append(error.into()))?;
    let mut reader = Reader::new(Arc::clone(segment), 0);
    while let Some(message) = reader.next_of_all().map_err(RewriteError::Read)? {
        if is_stored(message.sequence) {
            appender.append(&message).map_err(RewriteError::Append)?;
        }
    }
    appender.seal().map_err(|error| RewriteError::Append(error.into()))
}
