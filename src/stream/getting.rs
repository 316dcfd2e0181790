//! Finding one message of a stream and reading it.

use super::api::get::{MessageGet, Start};
use super::filter::Filter;
use super::message::StoredMessage;
use super::reading::ReadError;
use super::running::LastRead;
use super::shared::Stream;
use super::state::Place;

impl From<super::segment::ReadError> for ReadError {
    fn from(error: super::segment::ReadError) -> Self {
        ReadError::File(error)
    }
}

impl Stream {
    /// Shows the message that is asked for; none if there is no such message.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn get<T>(
        &self,
        wanted: &MessageGet,
        see: impl FnOnce(&StoredMessage<'_>) -> T,
    ) -> Result<Option<T>, ReadError> {
        let Some((sequence, place)) = self.place_of(wanted)? else { return Ok(None) };
        match self.read(sequence, &place, 0, &mut LastRead::default(), see) {
            Ok(seen) => Ok(Some(seen)),
            Err(ReadError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn place_of(&self, wanted: &MessageGet) -> Result<Option<(u64, Place)>, ReadError> {
        let mut from = 0;
        if let MessageGet::Next(start, _) = wanted {
            let Some(found) = self.start_of(*start)? else { return Ok(None) };
            from = found;
        }
        let found = self.with(|state| {
            let data = &state.data;
            let sequence = match wanted {
                MessageGet::At(sequence) => data.index().is_stored(*sequence).then_some(*sequence),
                MessageGet::Last(subject) => {
                    data.last_matching(u64::MAX, &Filter::of([subject.as_bytes()]))?
                }
                MessageGet::Next(_, subject) => {
                    data.next_many(from, u64::MAX, &filter_of(subject.as_deref()), 1)?.first().copied()
                }
            };
            Ok(sequence.map(|sequence| (sequence, data.place(sequence))))
        });
        Ok(found?)
    }

    /// The sequence at which a search begins; none if all messages are older.
    pub(super) fn start_of(&self, start: Start) -> Result<Option<u64>, ReadError> {
        match start {
            Start::Sequence(sequence) => Ok(Some(sequence)),
            Start::Time(time) => Ok(self.sequence_at(time)?),
        }
    }
}

/// The messages on subjects that a pattern matches, or all.
pub(super) fn filter_of(pattern: Option<&str>) -> Filter {
    pattern.map_or_else(Filter::all, |pattern| Filter::of([pattern.as_bytes()]))
}
