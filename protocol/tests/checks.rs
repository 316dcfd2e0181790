//! Checks that hold for any bytes that a peer may send.  Property tests and fuzz targets call the same functions.

use quartet_protocol::resp::{Batch, Outcome, Parser, ProtocolError, RequestLimits};

use crate::naive;

/// The result of reading a stream of requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The arguments of each request.
    pub(crate) requests: Vec<Vec<Vec<u8>>>,
    /// The bytes of whole requests.
    pub(crate) consumed: usize,
    /// The violation of the protocol that ended the stream, if one did.
    pub(crate) error: Option<ProtocolError>,
}

/// Limits low enough to be met by short streams.
pub(crate) const LOW_LIMITS: RequestLimits =
    RequestLimits { multibulk_length: 12, bulk_length: 40, inline_length: 30, unauthenticated: false };

/// One connection, which does what the server does between its socket and its commands.
#[derive(Default)]
pub(crate) struct Connection {
    parser: Parser,
    pending: Vec<u8>,
    reading: Reading,
}

impl Connection {
    /// Receives `piece` and parses all that can be parsed.
    pub(crate) fn receive(
        &mut self,
        piece: &[u8],
        batch: &mut Batch,
        batch_limit: usize,
        limits: &RequestLimits,
    ) {
        if self.reading.error.is_some() {
            return;
        }
        self.pending.extend_from_slice(piece);
        loop {
            let progress = self.parser.parse(&mut self.pending, batch, batch_limit, limits);
            assert!(progress.consumed <= self.pending.len());
            assert!(batch.len() <= batch_limit);
            let mut end = 0;
            for index in 0..batch.len() {
                assert!(end < batch.end(index) && batch.end(index) <= progress.consumed);
                end = batch.end(index);
                let arguments = batch.arguments(index, &self.pending);
                assert!(!arguments.is_empty());
                assert_eq!(arguments.to_owned().as_arguments().iter().count(), arguments.len());
                self.reading.requests.push(arguments.iter().map(<[u8]>::to_vec).collect());
            }
            self.pending.drain(..progress.consumed);
            self.reading.consumed += progress.consumed;
            match progress.outcome {
                Outcome::NeedMore { .. } => {
                    assert_eq!(self.parser.is_partial(), !self.pending.is_empty());
                    return;
                }
                Outcome::BatchFull => assert!(0 < progress.consumed && batch.len() == batch_limit),
                Outcome::Malformed(error) => {
                    self.reading.error = Some(error);
                    return;
                }
            }
        }
    }

    /// The reading of the bytes received so far.
    pub(crate) fn reading(self) -> Reading {
        self.reading
    }
}

/// The reading of `pieces`, received one after the other.
pub(crate) fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    batch_limit: usize,
    limits: &RequestLimits,
) -> Reading {
    let mut connection = Connection::default();
    let mut batch = Batch::new();
    for piece in pieces {
        connection.receive(piece, &mut batch, batch_limit, limits);
    }
    connection.reading()
}

/// Cuts `stream` into pieces whose lengths are taken in turn from `lengths` (plus one, so that none is empty).
pub(crate) fn cut<'a>(mut stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !stream.is_empty() {
        let length = lengths.next().map_or(stream.len(), |&length| usize::from(length) + 1);
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// A stream read at once gives the same as the naive reader, under every kind of limits.
pub(crate) fn request(stream: &[u8]) {
    for limits in [RequestLimits::NORMAL, RequestLimits::UNAUTHENTICATED, LOW_LIMITS] {
        let reading = read([stream], usize::MAX, &limits);
        assert_eq!(reading, naive::read(stream, &limits));
    }
}

/// A stream gives the same requests however it is cut and however many are taken at once.
pub(crate) fn request_split(stream: &[u8], lengths: &[u8], batch_limit: usize) {
    for limits in [RequestLimits::NORMAL, LOW_LIMITS] {
        let whole = read([stream], usize::MAX, &limits);
        assert_eq!(read(cut(stream, lengths), batch_limit.max(1), &limits), whole);
    }
}

/// The same, with everything taken from one input: the number of piece lengths, the lengths, the batch limit
/// and the stream.
pub(crate) fn request_split_input(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return };
    let (lengths, rest) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let Some((&batch_limit, stream)) = rest.split_first() else { return };
    request_split(stream, lengths, usize::from(batch_limit));
}
