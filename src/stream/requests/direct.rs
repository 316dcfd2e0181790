//! Direct gets: a stream that allows them answers with its messages themselves.

use std::sync::Arc;

use super::Serving;
use super::several::Several;
use crate::stream::api::get::{DirectGet, MessageGet, UpTo};
use crate::stream::api::{Refusal, direct};
use crate::stream::filter::Filter;
use crate::stream::getting::filter_of;
use crate::stream::reading::ReadError;
use crate::stream::shared::Stream;

/// The most subjects whose last messages one request can get.
const LAST_OF_EACH_MAX: usize = 1024;

impl Serving<'_> {
    /// The stream of this name if it answers direct gets.
    pub(super) fn responder(&self, name: &str) -> Option<Arc<Stream>> {
        let stream = self.streams.find(name);
        stream.filter(|stream| stream.state.lock().data.definition().allow_direct)
    }

    pub(super) fn get_direct(&mut self, stream: &str, get: DirectGet, no_headers: bool) {
        let Some(stream) = self.responder(stream) else { return self.refuse(Refusal::NoResponders) };
        let got = match get {
            DirectGet::One(wanted) => self.get_one(&stream, &wanted, no_headers),
            DirectGet::Batch { start, subject, batch, max_bytes } => {
                let filter = filter_of(subject.as_deref());
                stream.start_of(start).map(|start| match start {
                    Some(from) => {
                        Several::following(&stream, &self.asker, no_headers, filter, from)
                            .limited(Some(batch), max_bytes)
                            .begin(self.effects);
                    }
                    None => self.refuse(not_found()),
                })
            }
            DirectGet::LastOfEach { subjects, up_to, from, batch, max_bytes } => {
                let filter = Filter::of(subjects.iter().map(|subject| subject.as_bytes()));
                self.get_last_of_each(&stream, &filter, up_to, from).map(|several| {
                    if let Some(several) = several {
                        // Without headers nobody could tell the subjects apart.
                        let batch = Some(batch).filter(|batch| *batch > 0);
                        several.limited(batch, max_bytes).begin(self.effects);
                    }
                })
            }
        };
        if let Err(error) = got {
            self.refuse(unreadable(&error));
        }
    }

    fn get_one(&mut self, stream: &Stream, wanted: &MessageGet, no_headers: bool) -> Result<(), ReadError> {
        let got = stream.get(wanted, |message| {
            let headers = if no_headers { Vec::new() } else { direct::got(stream.name(), message) };
            self.asker.send(&headers, message.payload, self.effects);
        })?;
        if got.is_none() {
            self.refuse(not_found());
        }
        Ok(())
    }

    /// The places of the last messages of subjects, found before any of them is read; none if the request was refused.
    fn get_last_of_each(
        &mut self,
        stream: &Arc<Stream>,
        filter: &Filter,
        up_to: UpTo,
        from: u64,
    ) -> Result<Option<Several>, ReadError> {
        let until = match up_to {
            UpTo::Now => u64::MAX,
            UpTo::Sequence(sequence) => sequence,
            UpTo::Time(time) => stream.sequence_at(time)?.map_or(u64::MAX, |first| first.saturating_sub(1)),
        };
        let (until, found) = stream.with(|state| {
            let data = &state.data;
            let until = until.min(data.index().last());
            let Some(mut sequences) = data.last_known_of_each(until, filter, LAST_OF_EACH_MAX)? else {
                return Ok((until, None));
            };
            sequences.extend(data.doubt_of(&sequences, until, filter));
            sequences.sort_unstable();
            let is_none = sequences.is_empty();
            let wanted = sequences.into_iter().filter(|sequence| *sequence >= from);
            let places = wanted.map(|sequence| (sequence, data.place(sequence)));
            Ok((until, Some((is_none, places.collect::<Vec<_>>()))))
        })?;
        match found {
            None => self.refuse(Refusal::Status(413, "Too Many Results".to_owned())),
            Some((true, _)) => self.refuse(Refusal::Status(404, "No Results".to_owned())),
            Some((false, places)) => return Ok(Some(Several::found(stream, &self.asker, places, until))),
        }
        Ok(None)
    }
}

/// The status of a message that the stream does not have.
pub(super) fn not_found() -> Refusal {
    Refusal::Status(404, "Message Not Found".to_owned())
}

/// The status of a stored message that cannot be read.
pub(super) fn unreadable(error: &ReadError) -> Refusal {
    Refusal::Status(500, error.to_string())
}
