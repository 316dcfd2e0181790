//! Where a reader of a stream begins: at the place in its query, or behind the last event that it has seen.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::object::Gap;
use crate::http::endpoint::{Context, Problem};
use crate::stream::json::Time;
use crate::stream::{ReadError, Stream};

const LAST_EVENT_ID: &str = "last-event-id";

/// The first place that `from` may name: a word, a sequence or a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// The first message that there is.
    First,
    /// The first message that is stored from now on.
    New,
    /// This sequence.
    Sequence(u64),
    /// The first message that was stored at this time, in nanoseconds since 1970, or later.
    Time(i64),
}

impl From {
    /// The place that a text names.
    pub(crate) fn parse(text: &str) -> Option<From> {
        match text {
            "first" => Some(From::First),
            "new" => Some(From::New),
            _ => match text.parse() {
                Ok(sequence) => Some(From::Sequence(sequence)),
                // In a query a plus sign is a blank, and nobody means one in a time.
                Err(_) => Time::parse(text)
                    .or_else(|| Time::parse(&text.replace(' ', "+")))
                    .map(|time| From::Time(time.nanoseconds())),
            },
        }
    }

    pub(super) fn read(text: Option<&str>) -> Result<From, Problem> {
        text.map_or(Some(From::First), From::parse)
            .ok_or_else(|| Problem::invalid("from", "a sequence, a time as in RFC 3339, first or new"))
    }

    /// The sequence of this place in a stream.
    pub(super) fn sequence(self, stream: &Stream) -> Result<u64, Problem> {
        self.find(stream).map_err(super::messages::unreadable)
    }

    /// The same for whoever does not answer with problems.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub(crate) fn find(self, stream: &Stream) -> Result<u64, ReadError> {
        let (first, last) = stream.range();
        Ok(match self {
            From::First => first,
            From::New => last + 1,
            From::Sequence(sequence) => sequence.max(1),
            From::Time(time) => stream.sequence_at(time)?.unwrap_or(last + 1),
        })
    }
}

/// The header Last-Event-ID, which EventSource sends when it connects again: the epoch of a stream, a hyphen and a sequence.
pub(super) struct LastEventId(Option<String>);

impl LastEventId {
    /// The sequence at which to go on, and what is missing if the id does not belong to the stream: then it begins anew.  None
    /// without the header.
    pub(super) fn next(&self, stream: &Stream) -> Option<(u64, Option<Gap>)> {
        let text = self.0.as_deref()?;
        let parsed = text.rsplit_once('-').and_then(|(epoch, text)| Some((epoch, text.parse::<u64>().ok()?)));
        Some(match parsed {
            Some((epoch, sequence)) => resume(stream, epoch, sequence),
            None => (stream.range().0, Some(Gap::of_id("unknown-id"))),
        })
    }
}

/// The sequence at which a reader goes on that has seen the stream of this epoch up to a sequence, and what is missing if it is
/// another one: then the reader begins anew.
pub(crate) fn resume(stream: &Stream, epoch: &str, seen: u64) -> (u64, Option<Gap>) {
    let (first, last) = stream.range();
    let reason = match epoch == stream.epoch() {
        true if seen <= last => return (seen + 1, None),
        true => "beyond-the-end",
        false => "another-epoch",
    };
    (first, Some(Gap::of_id(reason)))
}

impl FromRequestParts<Context> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<LastEventId, Self::Rejection> {
        // EventSource sends none until it has seen one, and an empty one is none.
        let value = parts.headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
        Ok(LastEventId(value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())))
    }
}
