//! Several messages for one direct get.  They are sent in pieces, between which other work has its turn.

use std::sync::Arc;

use super::answer::Asker;
use super::direct::{not_found, unreadable};
use crate::delivery::{AfterBatch, Effects};
use crate::stream::api::direct;
use crate::stream::filter::Filter;
use crate::stream::message::StoredMessage;
use crate::stream::reading::ReadError;
use crate::stream::running::LastRead;
use crate::stream::segment;
use crate::stream::shared::Stream;
use crate::stream::state::Place;

/// Messages of a piece.
pub(super) const MESSAGES_PER_PIECE: usize = 256;

/// Bytes after which a piece ends, about.
const BYTES_PER_PIECE: usize = 1 << 20;

/// Bytes that one request gets if it sets no limit; with this many waiting, nats-server ends a connection.
const BYTES_MAX: usize = 64 << 20;

/// The messages that one request gets.  A piece of them is sent whenever a batch ends.
#[derive(Clone)]
pub(super) struct Several {
    stream: Arc<Stream>,
    asker: Asker,
    pub(super) no_headers: bool,
    source: Source,
    /// How many more messages and bytes may be sent.
    wanted: usize,
    bytes: usize,
    /// How many there are that were not sent.
    left: u64,
    /// The sequence of the last message that was sent; zero before the first.
    last: u64,
}

/// Where the next ones come from.
#[derive(Clone)]
enum Source {
    /// The stream, from a sequence on; as far as it was looked at when they were counted.
    Following { filter: Arc<Filter>, from: u64, counted_until: u64 },
    /// A list that was made already, from the state of the stream up to a sequence.
    Found { places: Arc<[(u64, Place)]>, next: usize, until: u64 },
}

/// How a piece has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// There may be more.
    Piece,
    /// That was all.
    All,
    /// The client was already told why no more messages come.
    Refused,
}

impl Several {
    /// Those from a sequence on that a filter matches.
    pub(super) fn following(
        stream: &Arc<Stream>,
        asker: &Asker,
        no_headers: bool,
        filter: Filter,
        from: u64,
    ) -> Several {
        let source = Source::Following { filter: Arc::new(filter), from, counted_until: 0 };
        Several { no_headers, ..Several::of(stream, asker, source, 0) }
    }

    /// The messages of a list.
    pub(super) fn found(
        stream: &Arc<Stream>,
        asker: &Asker,
        places: Vec<(u64, Place)>,
        until: u64,
    ) -> Several {
        let left = places.len() as u64;
        Several::of(stream, asker, Source::Found { places: places.into(), next: 0, until }, left)
    }

    fn of(stream: &Arc<Stream>, asker: &Asker, source: Source, left: u64) -> Several {
        Several {
            stream: Arc::clone(stream),
            asker: asker.clone(),
            no_headers: false,
            source,
            wanted: usize::MAX,
            bytes: BYTES_MAX,
            left,
            last: 0,
        }
    }

    /// So many messages and bytes at most, if there is a limit; zero bytes for none.
    pub(super) fn limited(self, messages: Option<usize>, bytes: usize) -> Several {
        let bytes = if bytes == 0 { BYTES_MAX } else { bytes };
        Several { wanted: messages.unwrap_or(usize::MAX), bytes, ..self }
    }

    /// Sends the first piece, or the status that there are no messages.
    pub(super) fn begin(mut self, effects: &mut Effects) {
        if let Source::Following { filter, from, .. } = &self.source {
            match count(&self.stream, filter, *from) {
                Ok((0, _)) => return self.asker.refuse(not_found(), effects),
                Ok((left, until)) => {
                    self.left = left;
                    self.source =
                        Source::Following { filter: Arc::clone(filter), from: *from, counted_until: until };
                }
                Err(error) => return self.asker.refuse(unreadable(&error.into()), effects),
            }
        }
        self.go_on(effects);
    }

    fn go_on(mut self, effects: &mut Effects) {
        match self.send_piece(effects) {
            Ended::Piece => effects.after_batch(Arc::new(self)),
            Ended::All => self.end(effects),
            Ended::Refused => {}
        }
    }

    fn send_piece(&mut self, effects: &mut Effects) -> Ended {
        let places = match self.next_places() {
            Ok(places) => places,
            Err(error) => return self.stop(&error.into(), effects),
        };
        if places.is_empty() {
            return Ended::All;
        }
        let end = places.iter().rev().find_map(|(_, place)| place.end_in_journal());
        let (mut reading, mut sent) = (LastRead::default(), 0);
        for (sequence, place) in &places {
            let stream = Arc::clone(&self.stream);
            let expected = place.bytes_until(end);
            let bytes =
                stream.read(*sequence, place, expected, &mut reading, |message| self.send(message, effects));
            match bytes {
                Ok(bytes) => {
                    sent += bytes;
                    self.wanted -= 1;
                    self.bytes = self.bytes.saturating_sub(bytes);
                }
                // It was removed meanwhile.
                Err(ReadError::Gone) => self.left = self.left.saturating_sub(1),
                Err(error) => return self.stop(&error, effects),
            }
            self.source.pass(*sequence);
            if self.wanted == 0 || self.bytes == 0 {
                return Ended::All;
            }
            if sent >= BYTES_PER_PIECE {
                return Ended::Piece;
            }
        }
        Ended::Piece
    }

    /// Where the messages of the next piece are.
    fn next_places(&self) -> Result<Vec<(u64, Place)>, segment::ReadError> {
        let most = self.wanted.min(MESSAGES_PER_PIECE);
        match &self.source {
            Source::Following { filter, from, .. } => self.stream.with(|state| {
                let sequences = state.data.next_many(*from, u64::MAX, filter, most)?;
                let place = |sequence| (sequence, state.data.place(sequence));
                Ok(sequences.into_iter().map(place).collect())
            }),
            Source::Found { places, next, .. } => Ok(places[*next..].iter().take(most).cloned().collect()),
        }
    }

    /// Sends a message.  Returns how many bytes it counts for.
    fn send(&mut self, message: &StoredMessage<'_>, effects: &mut Effects) -> usize {
        self.left = self.left.saturating_sub(1);
        let headers = if self.no_headers {
            Vec::new()
        } else {
            direct::got_of_several(self.stream.name(), message, self.left, self.last)
        };
        self.asker.send(&headers, message.payload, effects);
        self.last = message.sequence;
        message.subject.len() + message.headers.len() + message.payload.len()
    }

    /// Says that the next message cannot be read, instead of leaving it out.
    fn stop(&self, error: &ReadError, effects: &mut Effects) -> Ended {
        self.asker.refuse(unreadable(error), effects);
        Ended::Refused
    }

    /// Says how many are left.
    fn end(self, effects: &mut Effects) {
        let (left, until) = match &self.source {
            Source::Following { filter, from, counted_until } => {
                let has_grown = self.stream.state.lock().data.index().last() > *counted_until;
                let counted = if has_grown { count(&self.stream, filter, *from).ok() } else { None };
                (counted.map_or(self.left, |(left, _)| left), None)
            }
            Source::Found { until, .. } => (self.left, Some(*until)),
        };
        self.asker.send(&direct::end_of_several(left, self.last, until), b"", effects);
    }
}

impl AfterBatch for Several {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        Several::clone(&self).go_on(effects);
    }
}

impl Source {
    /// Moves on behind a message.
    fn pass(&mut self, sequence: u64) {
        match self {
            Source::Following { from, .. } => *from = sequence + 1,
            Source::Found { next, .. } => *next += 1,
        }
    }
}

/// How many messages there are from a sequence on, and which is the last of the stream.
fn count(stream: &Stream, filter: &Filter, from: u64) -> Result<(u64, u64), segment::ReadError> {
    stream.with(|state| Ok((state.data.count(from, filter)?, state.data.index().last())))
}
