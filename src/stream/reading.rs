//! Reading messages from memory, the journal or files, without a lock.

use std::fmt;
use std::sync::Arc;

use super::message::StoredMessage;
use super::record::Record;
use super::running::LastRead;
use super::segment::{self, Reader, Segment};
use super::shared::Stream;
use super::state::Place;
use crate::journal;
use crate::wait::Position;

/// Why a message cannot be read.  As text it is one line.
#[derive(Debug)]
pub enum ReadError {
    /// It was removed.
    Gone,
    /// Its file is damaged, or the disk refuses.
    File(segment::ReadError),
    /// The journal is damaged there, or the disk refuses.
    Journal(journal::ReadError),
    /// The journal has another record there.
    NoMessage,
    /// Damage has left nothing of the message but its sequence, which is this one.
    Unknown(u64),
}

impl ReadError {
    /// Whether the message is not what was written, which no later attempt changes.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            ReadError::Gone => false,
            ReadError::File(error) => matches!(error, segment::ReadError::Damaged(_)),
            ReadError::Journal(error) => matches!(error, journal::ReadError::Damaged { .. }),
            ReadError::NoMessage | ReadError::Unknown(_) => true,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone => formatter.write_str("the message was removed"),
            ReadError::File(error) => write!(formatter, "{error}"),
            ReadError::Journal(error) => write!(formatter, "{error}"),
            ReadError::NoMessage => {
                formatter.write_str("the journal has another record where a message should be")
            }
            ReadError::Unknown(sequence) => {
                write!(formatter, "message {sequence} is damaged, and nothing else is known of it")
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl Stream {
    /// Reads a message and shows it.  `expected` says how many bytes from there on the caller is going to read.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read<T>(
        &self,
        sequence: u64,
        place: &Place,
        expected: usize,
        reading: &mut LastRead,
        see: impl FnOnce(&StoredMessage<'_>) -> T,
    ) -> Result<T, ReadError> {
        match place {
            Place::Unknown => Err(ReadError::Unknown(sequence)),
            Place::Nowhere => Err(ReadError::Gone),
            Place::Memory(kept) => Ok(see(&kept.message(sequence))),
            Place::File(file) => read_file(sequence, file, reading, see),
            Place::Journal(position, length) => {
                let mut see = Some(see);
                let read = self.read_journal(*position, expected.max(*length), reading, &mut see);
                match (read, see) {
                    (Ok(read), _) => Ok(read),
                    // A snapshot has moved it meanwhile.
                    (Err(ReadError::Journal(journal::ReadError::Removed { .. })), Some(see)) => {
                        let place = self.state.lock().data.place(sequence);
                        match place {
                            Place::File(file) => read_file(sequence, &file, reading, see),
                            Place::Unknown => Err(ReadError::Unknown(sequence)),
                            _ => Err(ReadError::Gone),
                        }
                    }
                    (Err(error), _) => Err(error),
                }
            }
        }
    }

    fn read_journal<T, S: FnOnce(&StoredMessage<'_>) -> T>(
        &self,
        position: Position,
        expected: usize,
        reading: &mut LastRead,
        see: &mut Option<S>,
    ) -> Result<T, ReadError> {
        if reading.journal.is_none() {
            reading.journal = self.hub.reader();
        }
        let reader = reading.journal.as_mut().ok_or(ReadError::NoMessage)?;
        let bytes = reader.read(position, expected).map_err(ReadError::Journal)?;
        match (Record::read(bytes), see.take()) {
            (Ok(Record::Stored { message, .. }), Some(see)) => Ok(see(&message)),
            _ => Err(ReadError::NoMessage),
        }
    }

    /// Reads one message and shows it.
    ///
    /// # Errors
    /// If it was removed, or cannot be read.
    pub(super) fn read_one<T>(
        &self,
        sequence: u64,
        see: impl FnOnce(&StoredMessage<'_>) -> T,
    ) -> Result<T, ReadError> {
        let place = {
            let state = self.state.lock();
            let is_stored = state.data.index.is_stored(sequence);
            if is_stored { state.data.place(sequence) } else { Place::Nowhere }
        };
        self.read(sequence, &place, 0, &mut LastRead::default(), see)
    }
}

/// Reads a message of a file, behind the one that was read before if that is in the same file.
fn read_file<T>(
    sequence: u64,
    file: &Arc<Segment>,
    reading: &mut LastRead,
    see: impl FnOnce(&StoredMessage<'_>) -> T,
) -> Result<T, ReadError> {
    let reader = match reading.file.take() {
        Some(reader) if Arc::ptr_eq(reader.segment(), file) && reading.next <= sequence => reader,
        Some(reader) => reader.go_on(Arc::clone(file), sequence),
        None => Reader::new(Arc::clone(file), sequence),
    };
    let reader = reading.file.insert(reader);
    reader.go_on_from(sequence);
    reading.next = sequence + 1;
    loop {
        match reader.next_message() {
            Ok(Some(message)) if message.sequence < sequence => {}
            Ok(Some(message)) if message.sequence == sequence => return Ok(see(&message)),
            Ok(behind) => {
                // The reader has passed that message, so the next one may not go on from here.
                reading.next = behind.map_or(reading.next, |message| message.sequence + 1);
                return Err(ReadError::Gone);
            }
            Err(segment::ReadError::Damaged(damage)) if !damage.concerns(sequence) => {}
            Err(error) => return Err(ReadError::File(error)),
        }
    }
}
