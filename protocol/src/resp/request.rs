//! The request parser: finds whole requests in a read buffer in one pass, as ranges, without allocating.
//!
//! A request is an array of bulk strings (`*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n`) or a line of words (`GET key\r\n`).
//! The parser checks as much as Redis and no more: after a length line's `\r` and after an argument it skips the
//! two line-end bytes without looking at them, an inline line may end with `\n` alone, and empty requests vanish
//! without a reply.  It differs in two ways that Redis leaves to the size of its reads
//! or to C strings: a line longer than the limit is refused even when it arrives at once, and a zero byte is a
//! byte like any other.

use std::fmt;

use memchr::memchr;

use crate::limits;
use crate::resp::arguments::Span;
use crate::resp::batch::{Batch, RequestEnd};
use crate::resp::inline::split_words;
use crate::resp::number::parse_integer;

/// Incremental parser of one connection's requests: no heap and a few words while no request is half read.
/// It remembers its place inside a partial request, so no byte is looked at twice.
#[derive(Debug, Default)]
pub struct Parser {
    /// Where a partial request was left, relative to its first byte.
    place: Place,
    /// The arguments of the partial request found so far.
    spans: Vec<Span>,
}

/// The result of one call to [`Parser::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The bytes of whole requests and of skipped empty ones.  The next buffer starts behind them.
    pub consumed: usize,
    /// Why the parser stopped.
    pub outcome: Outcome,
}

/// Why the parser stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The buffer holds no further whole request.
    NeedMore {
        /// So many more bytes complete the argument that is being received; 0 when that is unknown.
        at_least: usize,
    },
    /// The batch is full: run it, then call again with the rest of the buffer.
    BatchFull,
    /// The peer broke the protocol behind the requests of the batch: run those, answer this and close.
    Malformed(ProtocolError),
}

/// A violation of the protocol.  Displays as the text after `ERR Protocol error: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is no number or too high.
    InvalidMultibulkLength,
    /// The length of an argument is no number, negative or too high.
    InvalidBulkLength,
    /// Another byte stands where an argument must begin.
    ExpectedBulk {
        /// The byte found instead of `$`.
        found: u8,
    },
    /// The line with the number of arguments does not end.
    MultibulkCountTooBig,
    /// The line with the length of an argument does not end.
    BulkCountTooBig,
    /// The line of an inline request does not end.
    InlineTooBig,
    /// An inline request has a quote without its partner.
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLength,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match *self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::ExpectedBulk { found } => {
                let found = if found.is_ascii() { char::from(found) } else { char::REPLACEMENT_CHARACTER };
                return write!(formatter, "expected '$', got '{found}'");
            }
            Self::MultibulkCountTooBig => "too big mbulk count string",
            Self::BulkCountTooBig => "too big bulk count string",
            Self::InlineTooBig => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// The limits of a request.  An announced length is checked before the bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The arguments of a request.
    pub multibulk_length: usize,
    /// The bytes of an argument.
    pub bulk_length: usize,
    /// The bytes of an inline request, and of the line that holds a length.
    pub inline_length: usize,
    /// Whether the lower limits for unknown clients hold as well.  Their requests must be parsed one by one (a
    /// batch limit of 1), because running one of them may lift these limits for the next.
    pub unauthenticated: bool,
}

impl RequestLimits {
    /// For a client that has authenticated or does not have to.
    pub const NORMAL: Self = Self {
        multibulk_length: limits::MULTIBULK_LENGTH_MAX,
        bulk_length: limits::BULK_LENGTH_MAX,
        inline_length: limits::INLINE_LENGTH_MAX,
        unauthenticated: false,
    };

    /// For a client that has not authenticated yet.
    pub const UNAUTHENTICATED: Self = Self { unauthenticated: true, ..Self::NORMAL };
}

/// A place inside a request: before its count, before an argument's length, or before an argument's bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The first byte not yet understood.
    position: usize,
    /// Up to here no end was found for the line at `position`; meaningless when lower than that.
    searched: usize,
    /// The arguments still to come; 0 before the count was read.
    remaining: u32,
    /// The length of the argument at `position`, once its line was read.
    bulk: Option<u32>,
}

/// The state of the request at the current place.
enum Step {
    Complete { end: usize },
    Partial { at_least: usize },
    Malformed(ProtocolError),
}

impl Parser {
    /// A parser at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the last request is incomplete: an end of the stream now would cut it.
    pub fn is_partial(&self) -> bool {
        0 < self.place.position.max(self.place.searched)
    }

    /// The arguments of the partial request found so far, as ranges from its first byte on.
    pub fn partial_arguments(&self) -> &[Span] {
        &self.spans
    }

    /// Fills `batch`, which is cleared first, with the whole requests at the start of `buffer`, at most
    /// `batch_limit` (or one).  The buffer starts where the last call's `consumed` ended: a partial request
    /// stays in it and must be there again, with more behind it.  Inline requests are unquoted in place,
    /// which is why the buffer is mutable.
    pub fn parse(
        &mut self,
        buffer: &mut [u8],
        batch: &mut Batch,
        batch_limit: usize,
        limits: &RequestLimits,
    ) -> Progress {
        let visible = buffer.len().min(limits::PARSED_LENGTH_MAX);
        let buffer = &mut buffer[..visible];
        batch.clear();
        let mut place = self.resume(batch);
        assert!(place.position.max(place.searched) <= buffer.len(), "a partial request stays in the buffer");
        let mut start = 0;
        let outcome = loop {
            let Some(&first) = buffer.get(start) else {
                break Outcome::NeedMore { at_least: 0 };
            };
            if batch_limit.max(1) <= batch.requests.len() {
                break Outcome::BatchFull;
            }
            let step = if first == b'*' {
                multibulk(buffer, &mut place, &mut batch.spans, limits)
            } else {
                inline(buffer, &mut place, &mut batch.spans, limits)
            };
            match step {
                Step::Complete { end } => {
                    if batch.finished_spans() < batch.spans.len() {
                        batch
                            .requests
                            .push(RequestEnd { spans: batch.spans.len() as u32, buffer: end as u32 });
                    }
                    start = end;
                    place = Place { position: end, ..Place::default() };
                }
                Step::Partial { at_least } => {
                    self.suspend(place, start, batch);
                    break Outcome::NeedMore { at_least };
                }
                Step::Malformed(error) => break Outcome::Malformed(error),
            }
        };
        Progress { consumed: start, outcome }
    }

    /// Moves a partial request's spans into the batch, which must be empty, and forgets the place.
    #[inline]
    fn resume(&mut self, batch: &mut Batch) -> Place {
        if !self.spans.is_empty() {
            std::mem::swap(&mut self.spans, &mut batch.spans);
            batch.spare = std::mem::take(&mut self.spans);
        }
        std::mem::take(&mut self.place)
    }

    /// Takes the spans of the partial request at `start` out of the batch and remembers the place.  A span is
    /// copied at most once: when its request goes on to be cut, it is alone in the batch and moves with it.
    fn suspend(&mut self, place: Place, start: usize, batch: &mut Batch) {
        self.place = Place {
            position: place.position - start,
            searched: place.searched.saturating_sub(start),
            ..place
        };
        let finished = batch.finished_spans();
        if finished == batch.spans.len() {
            return;
        }
        let spare = std::mem::take(&mut batch.spare);
        if finished == 0 && start == 0 {
            self.spans = std::mem::replace(&mut batch.spans, spare);
            return;
        }
        self.spans = spare;
        let moved = batch.spans.drain(finished..);
        self.spans.extend(moved.map(|span| Span { start: span.start - start as u32, ..span }));
    }
}

/// Reads an array of bulk strings on from `place`, which is moved only when the request is partial.
fn multibulk(buffer: &[u8], place: &mut Place, spans: &mut Vec<Span>, limits: &RequestLimits) -> Step {
    let Place { mut position, mut remaining, mut bulk, .. } = *place;
    if remaining == 0 {
        let (count, after) = match length_line(buffer, position, place.searched, limits) {
            LengthLine::Whole { length, after } => (length, after),
            LengthLine::Partial => {
                place.searched = buffer.len();
                return Step::Partial { at_least: 0 };
            }
            LengthLine::TooBig => return Step::Malformed(ProtocolError::MultibulkCountTooBig),
        };
        position = after;
        remaining = match count {
            Some(..=0) => return Step::Complete { end: after },
            Some(count)
                if count as u64 <= limits.multibulk_length.min(limits::MULTIBULK_LENGTH_MAX) as u64 =>
            {
                count as u32
            }
            _ => return Step::Malformed(ProtocolError::InvalidMultibulkLength),
        };
        if limits.unauthenticated && limits::UNAUTHENTICATED_MULTIBULK_LENGTH_MAX < remaining as usize {
            return Step::Malformed(ProtocolError::UnauthenticatedMultibulkLength);
        }
    }
    while 0 < remaining {
        let length = match bulk.take() {
            Some(length) => length,
            None => match bulk_length(buffer, position, place.searched, limits) {
                Ok(Some((length, after))) => {
                    position = after;
                    length
                }
                Ok(None) => {
                    *place = Place { position, searched: buffer.len(), remaining, bulk: None };
                    return Step::Partial { at_least: 0 };
                }
                Err(error) => return Step::Malformed(error),
            },
        };
        let end = position + length as usize + LINE_END;
        if buffer.len() < end {
            *place = Place { position, searched: 0, remaining, bulk: Some(length) };
            return Step::Partial { at_least: end - buffer.len() };
        }
        spans.push(Span { start: position as u32, length });
        position = end;
        remaining -= 1;
    }
    Step::Complete { end: position }
}

/// The two bytes behind a length line and behind an argument.
const LINE_END: usize = 2;

/// Reads the line `$<length>`: the length and the place behind the line, or nothing when it is not whole yet.
#[inline]
fn bulk_length(
    buffer: &[u8],
    position: usize,
    searched: usize,
    limits: &RequestLimits,
) -> Result<Option<(u32, usize)>, ProtocolError> {
    let (length, after) = match length_line(buffer, position, searched, limits) {
        LengthLine::Whole { length, after } => (length, after),
        LengthLine::Partial => return Ok(None),
        LengthLine::TooBig => return Err(ProtocolError::BulkCountTooBig),
    };
    let found = buffer[position];
    if found != b'$' {
        return Err(ProtocolError::ExpectedBulk { found });
    }
    let length = match length.map(u32::try_from) {
        Some(Ok(length)) if length as usize <= limits.bulk_length => length,
        _ => return Err(ProtocolError::InvalidBulkLength),
    };
    if limits.unauthenticated && limits::UNAUTHENTICATED_BULK_LENGTH_MAX < length as usize {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(Some((length, after)))
}

/// A line with a type byte and a number.
enum LengthLine {
    /// `length` is nothing when the text is no number; `after` is the place behind the line's end.
    Whole {
        length: Option<i64>,
        after: usize,
    },
    Partial,
    TooBig,
}

/// Reads the length line at `position`, whose first byte the caller checks.
#[inline]
fn length_line(buffer: &[u8], position: usize, searched: usize, limits: &RequestLimits) -> LengthLine {
    let line = &buffer[position..];
    // Nearly all lengths have up to three digits; the byte behind the `\r` is not looked at, but must be there.
    match *line {
        [_, ones @ b'0'..=b'9', b'\r', _, ..] => {
            LengthLine::Whole { length: Some(i64::from(ones - b'0')), after: position + 4 }
        }
        [_, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
            let length = 10 * i64::from(tens - b'0') + i64::from(ones - b'0');
            LengthLine::Whole { length: Some(length), after: position + 5 }
        }
        [_, hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
            let length =
                100 * i64::from(hundreds - b'0') + 10 * i64::from(tens - b'0') + i64::from(ones - b'0');
            LengthLine::Whole { length: Some(length), after: position + 6 }
        }
        _ => long_length_line(buffer, position, searched, limits),
    }
}

#[inline(never)]
fn long_length_line(buffer: &[u8], position: usize, searched: usize, limits: &RequestLimits) -> LengthLine {
    let line = &buffer[position..];
    // The last byte seen may have been the `\r` whose partner was missing.
    let skipped = searched.saturating_sub(position).saturating_sub(1).min(line.len());
    match memchr(b'\r', &line[skipped..]).map(|found| skipped + found) {
        Some(length) if limits.inline_length < length => LengthLine::TooBig,
        Some(length) if length + LINE_END <= line.len() => LengthLine::Whole {
            length: parse_integer(line.get(1..length).unwrap_or(&[])),
            after: position + length + LINE_END,
        },
        None if limits.inline_length < line.len() => LengthLine::TooBig,
        _ => LengthLine::Partial,
    }
}

/// Reads a line of words.
fn inline(buffer: &mut [u8], place: &mut Place, spans: &mut Vec<Span>, limits: &RequestLimits) -> Step {
    let start = place.position;
    let skipped = place.searched.clamp(start, buffer.len());
    let Some(line_feed) = memchr(b'\n', &buffer[skipped..]).map(|found| skipped + found) else {
        if limits.inline_length < buffer.len() - start {
            return Step::Malformed(ProtocolError::InlineTooBig);
        }
        place.searched = buffer.len();
        return Step::Partial { at_least: 0 };
    };
    if limits.inline_length < line_feed - start {
        return Step::Malformed(ProtocolError::InlineTooBig);
    }
    let carriage_return = start < line_feed && buffer[line_feed - 1] == b'\r';
    let end = line_feed - usize::from(carriage_return);
    if !split_words(buffer, start, end, spans) {
        return Step::Malformed(ProtocolError::UnbalancedQuotes);
    }
    Step::Complete { end: line_feed + 1 }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Outcome, Parser, RequestLimits};
    use crate::limits;

    fn parse(parser: &mut Parser, batch: &mut Batch, bytes: &str) -> Outcome {
        parser.parse(&mut bytes.as_bytes().to_vec(), batch, 32, &RequestLimits::NORMAL).outcome
    }

    #[test]
    fn an_idle_parser_is_small_and_holds_no_heap() {
        assert!(size_of::<Parser>() <= 64);
        let mut parser = Parser::new();
        let mut batch = Batch::new();
        parse(&mut parser, &mut batch, "*2\r\n$3\r\nGET\r\n$1\r\n");
        assert_eq!((parser.spans.len(), batch.len()), (1, 0));
        parse(&mut parser, &mut batch, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        assert_eq!((parser.spans.capacity(), batch.len()), (0, 1));
    }

    #[test]
    fn cut_requests_pass_the_same_room_back_and_forth() {
        let mut parser = Parser::new();
        let mut batch = Batch::new();
        let whole = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let cut = &whole[..whole.len() - 3];
        let mut room = Vec::new();
        for _ in 0..10 {
            parse(&mut parser, &mut batch, &(whole.to_string() + cut));
            let mut rooms = [&batch.spans, &batch.spare, &parser.spans].map(|spans| spans.capacity());
            rooms.sort_unstable();
            room.push(rooms);
            parse(&mut parser, &mut batch, whole);
        }
        assert!(room[1..].iter().all(|rooms| *rooms == room[1]), "{room:?}");
    }

    #[test]
    fn an_announcement_takes_no_room() {
        let mut parser = Parser::new();
        let mut batch = Batch::new();
        parse(&mut parser, &mut batch, "*2147483647\r\n$1\r\nk\r\n$536870912\r\n");
        assert!(parser.spans.capacity() < 16 && batch.spans.capacity() < 16);
    }

    #[test]
    fn one_huge_request_is_not_kept_as_room() {
        let mut parser = Parser::new();
        let mut batch = Batch::new();
        let arguments = 2 * limits::BATCH_SPANS_KEPT;
        let huge = format!("*{arguments}\r\n{}", "$1\r\nk\r\n".repeat(arguments));
        parse(&mut parser, &mut batch, &huge[..huge.len() - 1]);
        parse(&mut parser, &mut batch, &huge);
        assert_eq!(batch.len(), 1);
        parse(&mut parser, &mut batch, "");
        assert!(batch.spans.capacity() <= limits::BATCH_SPANS_KEPT);
        assert!(batch.spare.capacity() <= limits::BATCH_SPANS_KEPT);
    }
}
