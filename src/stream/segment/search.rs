//! Messages that match, in files that are given: how many there are, the next and the last.
//!
//! A caller that asks again and again, as a consumer does, keeps the [`Directory`](super::Directory) of the file that it is in and what
//! its filter says of the subjects there, and asks that.
//!
//! Only directories are read, not the messages.  The files were gathered under the stream's lock, and what is deleted was
//! noted then; the disk is read without it.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::reader::ReadError;
use super::segment::Segment;

/// How many messages from a sequence on are wanted.
///
/// # Errors
/// If the disk refuses, or the end of a file is damaged.
pub fn count(
    segments: &[Arc<Segment>],
    from: u64,
    deleted: &RoaringTreemap,
    mut is_wanted: impl FnMut(&[u8]) -> bool,
) -> Result<u64, ReadError> {
    let mut counted = 0;
    for segment in segments {
        let directory = segment.directory()?;
        let wanted = directory.wanted(&mut is_wanted);
        counted += directory.matching(from..=u64::MAX, deleted, &wanted).count() as u64;
    }
    Ok(counted)
}

/// The first message from a sequence on that is wanted.
///
/// # Errors
/// If the disk refuses, or the end of a file is damaged.
pub fn next(
    segments: &[Arc<Segment>],
    from: u64,
    deleted: &RoaringTreemap,
    mut is_wanted: impl FnMut(&[u8]) -> bool,
) -> Result<Option<u64>, ReadError> {
    for segment in segments {
        let directory = segment.directory()?;
        let wanted = directory.wanted(&mut is_wanted);
        let next = directory.matching(from..=u64::MAX, deleted, &wanted).next();
        if let Some(row) = next {
            return Ok(Some(row.sequence));
        }
    }
    Ok(None)
}

/// The last message up to a sequence that is wanted.
///
/// # Errors
/// If the disk refuses, or the end of a file is damaged.
pub fn last(
    segments: &[Arc<Segment>],
    until: u64,
    deleted: &RoaringTreemap,
    mut is_wanted: impl FnMut(&[u8]) -> bool,
) -> Result<Option<u64>, ReadError> {
    for segment in segments.iter().rev() {
        let directory = segment.directory()?;
        let wanted = directory.wanted(&mut is_wanted);
        if let Some(row) = directory.last_matching(until, deleted, &wanted) {
            return Ok(Some(row.sequence));
        }
    }
    Ok(None)
}
