//! Opening a file at a start: by its footer or its chapters, or by going through its records if these are damaged or, in a file of
//! an earlier version, missing.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::chapter::{self, Read};
use super::contents::Contents;
use super::directory::Directory;
use super::file::{FileId, HEAD};
use super::scan::{Damage, Scan, Step};
use super::segment::{FileEntry, Opened, Segment, footer_of};
use super::window::{OpenFile, Window};
use crate::disk::Disk;

/// Opens the file that a snapshot has named.  What the file has beyond that is cut off.  A file that is shorter or otherwise
/// not as it was written opens as well, with what can be read of it.
///
/// # Errors
/// If the file is missing or the disk refuses.
pub fn open(disk: &dyn Disk, stream: u64, entry: &FileEntry) -> io::Result<Opened> {
    let id = FileId { stream, number: entry.number };
    let file = OpenFile::open(disk, id)?;
    let found = file.length()?;
    if found > entry.length {
        disk.truncate(&id.name(), entry.length)?;
    }
    let mut damages = Vec::new();
    let head = file.read(0, HEAD as usize)?;
    let fault = id.fault_of(&head);
    if let Some(reason) = fault {
        let (file, after, before) = (file.place.to_string(), entry.first.saturating_sub(1), entry.first);
        damages.push(Damage { file, offset: 0, end: HEAD, reason, after, before });
    }
    if entry.is_sealed
        && let Some((records_end, contents)) = footer_of(&file, entry.length)?
    {
        let mut segment = Segment::sealed(file, &contents, records_end, entry.length);
        segment.is_damaged = !damages.is_empty();
        return Ok(Opened { segment: Arc::new(segment), directory: Arc::new(contents.directory), damages });
    }
    let mut wrong_chapter = None;
    if !entry.is_sealed && (fault.is_some() || FileId::has_chapters(&head)) {
        match chapter::read(&file, entry)? {
            Ok(Read { contents, chapters }) => {
                let mut segment = Segment::unsealed(file, contents, chapters, entry.length);
                segment.is_damaged = !damages.is_empty();
                return Ok(opened(segment, damages));
            }
            Err(place) => wrong_chapter = Some(place),
        }
    }
    let (mut contents, records_end) = scan(&file, entry, &mut damages)?;
    if let Some(Range { start: offset, end }) = wrong_chapter
        && fault.is_none()
        && !damages.iter().any(|damage| damage.end > offset)
    {
        let (file, after, before) = (file.place.to_string(), entry.last, entry.last + 1);
        let reason = "the directory of its messages is not as it was written";
        damages.push(Damage { file, offset, end, reason, after, before });
    }
    widen(&mut contents, entry);
    let mut segment = Segment::unsealed(file, contents, Vec::new(), records_end);
    (segment.length, segment.is_sealed, segment.is_damaged) =
        (entry.length, entry.is_sealed, !damages.is_empty());
    Ok(opened(segment, damages))
}

/// A file whose directory is in memory.
fn opened(segment: Segment, damages: Vec<Damage>) -> Opened {
    let directory = segment.directory.clone().unwrap_or_default();
    Opened { segment: Arc::new(segment), directory, damages }
}

/// The directory of a file whose footer cannot be read any more.
pub(super) fn directory_of_records(file: &OpenFile, entry: &FileEntry) -> io::Result<Directory> {
    scan(file, entry, &mut Vec::new()).map(|(contents, _)| contents.directory)
}

/// Goes through all records of a file, and says where they end.
fn scan(file: &OpenFile, entry: &FileEntry, damages: &mut Vec<Damage>) -> io::Result<(Contents, u64)> {
    let before = entry.first.saturating_sub(1);
    let mut contents = Contents::default();
    let mut scan = Scan::new(file.clone(), Window::default(), HEAD, entry.length, before, entry.last);
    let mut end = entry.length;
    loop {
        match scan.step()? {
            Step::End => return Ok((contents, end)),
            Step::Record { offset, length, .. } => {
                let message = scan.message(offset, length);
                message.iter().for_each(|message| contents.add(message, offset, length as u64));
            }
            Step::Damage(mut damage) => {
                if damage.after >= entry.last {
                    // All messages are there: readers are not to come across what follows.
                    end = damage.offset;
                    damage.reason = "what follows the last record is not as it was written";
                }
                damages.push(damage);
            }
        }
    }
}

/// Messages that should be there and cannot be read still belong to the file's range, so that a request for them gets an error.
fn widen(contents: &mut Contents, entry: &FileEntry) {
    let summary = &mut contents.summary;
    let shift = if summary.messages == 0 { 0 } else { summary.first - entry.first.min(summary.first) };
    let shift = u32::try_from(shift).unwrap_or(u32::MAX);
    contents.marks.iter_mut().for_each(|mark| mark.distance = mark.distance.saturating_add(shift));
    (summary.first, summary.last) = (entry.first, entry.last);
}
