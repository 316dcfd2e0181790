//! The parser of what a client sends: one operation at a time, in place, without allocating.
//!
//! An operation is a control line, for `PUB` and `HPUB` with a payload behind it.  The parser takes what nats-server
//! takes, and a little more: a bare `\n` ends a payload too, so that a message can be typed.  Where it differs, the tests
//! say so with the reason.

use std::ops::Range;

use memchr::memchr;

use crate::broker::operation::{Malformation, Operation, Publication};
use crate::limits;

/// Incremental parser of one client's operations: a few words, no heap.  It remembers its place inside a partial
/// operation, so no byte is looked at twice.
#[derive(Debug, Default)]
pub struct Parser {
    place: Place,
}

/// The limits of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of a control line behind its verb and the space that follows, without the line end.
    pub control_line: usize,
    /// The bytes of a message's headers and payload.  An announced length is checked before the bytes arrive.
    pub payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { control_line: limits::CONTROL_LINE_LENGTH, payload: limits::PAYLOAD_LENGTH }
    }
}

/// What the parser found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// An operation, which takes the first `consumed` bytes.
    Operation {
        /// What the client said.
        operation: Operation<'a>,
        /// Where the next operation begins.
        consumed: usize,
    },
    /// The input ends inside an operation.  The next input must begin with the same bytes, and go on behind them.
    NeedMore {
        /// So many more bytes are needed at least, headers, payload and its line end counted; 0 if that is unknown.
        at_least: usize,
    },
    /// The client broke the protocol: tell it, if there is an [answer](Malformation::answer), and close.
    Malformed(Malformation),
}

/// Where a partial operation was left, relative to its first byte.
#[derive(Clone, Debug)]
enum Place {
    /// In the control line, of which so many bytes hold no line end.
    Line { searched: usize },
    /// Behind the control line of a message.
    Message(Announcement),
}

/// What the control line of a message says.
#[derive(Clone, Debug)]
struct Announcement {
    subject: Range<usize>,
    reply: Range<usize>,
    /// Where headers and payload begin.
    start: usize,
    headers: usize,
    total: usize,
    has_headers: bool,
}

impl Default for Place {
    fn default() -> Self {
        Place::Line { searched: 0 }
    }
}

impl Parser {
    /// A parser at the start of an operation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the last step ended inside an operation.
    pub fn is_partial(&self) -> bool {
        !matches!(self.place, Place::Line { searched: 0 })
    }

    /// Reads the operation at the start of `input`.  After [`Step::NeedMore`] the next input must begin with the bytes of
    /// this one; after [`Step::Operation`] it begins behind the consumed bytes; after [`Step::Malformed`] there is none.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Step<'a> {
        let searched = match &self.place {
            Place::Line { searched } => *searched,
            Place::Message(announcement) => {
                let step = message(input, announcement);
                if !matches!(step, Step::NeedMore { .. }) {
                    self.place = Place::default();
                }
                return step;
            }
        };
        let Some(line_feed) = memchr(b'\n', &input[searched..]).map(|found| searched + found) else {
            self.place = Place::Line { searched: input.len() };
            return partial_line(input, limits);
        };
        self.place = Place::default();
        let line = &input[..line_feed];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match control_line(line, limits) {
            Err(malformation) => Step::Malformed(malformation),
            Ok(Line::Operation(operation)) => Step::Operation { operation, consumed: line_feed + 1 },
            Ok(Line::Message(mut announcement)) => {
                announcement.start = line_feed + 1;
                let step = message(input, &announcement);
                if matches!(step, Step::NeedMore { .. }) {
                    self.place = Place::Message(announcement);
                }
                step
            }
        }
    }
}

/// A whole control line.
enum Line<'a> {
    Operation(Operation<'a>),
    Message(Announcement),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Publish,
    PublishWithHeaders,
    Subscribe,
    Unsubscribe,
    Ping,
    Pong,
    Connect,
    Info,
    Ok,
    Error,
}

/// The verbs, in lower case, and whether white space must follow; what follows the others is an argument or ignored.
const VERBS: &[(&[u8], Verb, bool)] = &[
    (b"pub", Verb::Publish, true),
    (b"hpub", Verb::PublishWithHeaders, true),
    (b"sub", Verb::Subscribe, true),
    (b"unsub", Verb::Unsubscribe, true),
    (b"ping", Verb::Ping, false),
    (b"pong", Verb::Pong, false),
    (b"connect", Verb::Connect, false),
    (b"info", Verb::Info, false),
    (b"+ok", Verb::Ok, false),
    (b"-err", Verb::Error, true),
];

/// What the start of a line, without its end, can still become: an operation, unless its first bytes are no verb's or it is
/// too long already.
fn partial_line<'a>(line: &'a [u8], limits: &Limits) -> Step<'a> {
    let may_become = |&&(name, _, spaced): &&(&[u8], Verb, bool)| {
        let length = name.len().min(line.len());
        let is_spaced = line.get(name.len()).is_none_or(|&byte| !spaced || is_space(byte));
        line[..length].eq_ignore_ascii_case(&name[..length]) && is_spaced
    };
    let Some((name, ..)) = VERBS.iter().find(may_become) else {
        return Step::Malformed(Malformation::UnknownOperation);
    };
    // The last byte may be the `\r` of the line end.
    if limits.control_line + name.len() + 2 < line.len() {
        return Step::Malformed(Malformation::ControlLineTooLong);
    }
    Step::NeedMore { at_least: 0 }
}

fn control_line<'a>(line: &'a [u8], limits: &Limits) -> Result<Line<'a>, Malformation> {
    let (verb, length) = verb(line).ok_or(Malformation::UnknownOperation)?;
    if limits.control_line + length + 1 < line.len() {
        return Err(Malformation::ControlLineTooLong);
    }
    let arguments = &line[length..];
    Ok(Line::Operation(match verb {
        Verb::Publish | Verb::PublishWithHeaders => {
            return announcement(line, length, verb == Verb::PublishWithHeaders, limits).map(Line::Message);
        }
        Verb::Subscribe => subscribe(arguments)?,
        Verb::Unsubscribe => unsubscribe(arguments)?,
        Verb::Ping => Operation::Ping,
        Verb::Pong => Operation::Pong,
        Verb::Connect => Operation::Connect(arguments.trim_ascii()),
        Verb::Info => Operation::Info,
        Verb::Ok => Operation::Ok,
        Verb::Error => Operation::Error(arguments.trim_ascii()),
    }))
}

/// The verb of a line and its length.
fn verb(line: &[u8]) -> Option<(Verb, usize)> {
    let is_verb = |&&(name, _, spaced): &&(&[u8], Verb, bool)| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && (!spaced || line.get(name.len()).is_some_and(|&byte| is_space(byte)))
    };
    VERBS.iter().find(is_verb).map(|&(name, verb, _)| (verb, name.len()))
}

fn subscribe(arguments: &[u8]) -> Result<Operation<'_>, Malformation> {
    let ([first, second, third], count) = words(arguments)?;
    let [first, second, third] = [first, second, third].map(|range| &arguments[range]);
    match count {
        2 => Ok(Operation::Subscribe { subject: first, group: None, sid: second }),
        3 => Ok(Operation::Subscribe { subject: first, group: Some(second), sid: third }),
        _ => Err(Malformation::ArgumentCount),
    }
}

fn unsubscribe(arguments: &[u8]) -> Result<Operation<'_>, Malformation> {
    let ([sid, maximum], count) = words(arguments)?;
    if count == 0 {
        return Err(Malformation::ArgumentCount);
    }
    let maximum = number(&arguments[maximum]).map(|number| number as u64).filter(|&maximum| maximum > 0);
    Ok(Operation::Unsubscribe { sid: &arguments[sid], maximum })
}

fn announcement(
    line: &[u8],
    verb: usize,
    has_headers: bool,
    limits: &Limits,
) -> Result<Announcement, Malformation> {
    let (words, count) = words::<4>(&line[verb..])?;
    let [first, second, third, fourth] = words.map(|range| verb + range.start..verb + range.end);
    let lengths = usize::from(has_headers);
    let (reply, headers, total) = match count.checked_sub(lengths) {
        Some(2) => (0..0, second.clone(), if has_headers { third } else { second }),
        Some(3) => (second, third.clone(), if has_headers { fourth } else { third }),
        _ => return Err(Malformation::ArgumentCount),
    };
    let length = |range: Range<usize>| number(&line[range]).ok_or(Malformation::InvalidLength);
    let headers = if has_headers { length(headers)? } else { 0 };
    let total = length(total)?;
    if total < headers {
        return Err(Malformation::HeadersTooLong);
    }
    if limits.payload < total {
        return Err(Malformation::PayloadTooLong);
    }
    Ok(Announcement { subject: first, reply, start: 0, headers, total, has_headers })
}

/// The message that was announced, once its payload and the line end behind it have come.
#[inline]
fn message<'a>(input: &'a [u8], announcement: &Announcement) -> Step<'a> {
    let end = announcement.start + announcement.total;
    let line_end = match input.get(end..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\n', ..]) => 1,
        Some([] | [b'\r']) => return Step::NeedMore { at_least: 1 },
        Some(_) => return Step::Malformed(Malformation::UnknownOperation),
        None => return Step::NeedMore { at_least: end + 1 - input.len() },
    };
    let (headers, payload) = input[announcement.start..end].split_at(announcement.headers);
    let operation = Operation::Publish(Publication {
        subject: &input[announcement.subject.clone()],
        reply: &input[announcement.reply.clone()],
        headers,
        payload,
        has_headers: announcement.has_headers,
    });
    Step::Operation { operation, consumed: end + line_end }
}

/// The places of the words of a line, of which there may be `N`, and their number.
fn words<const N: usize>(line: &[u8]) -> Result<([Range<usize>; N], usize), Malformation> {
    let mut words = [const { 0..0 }; N];
    let mut count = 0;
    let mut position = 0;
    loop {
        while line.get(position).is_some_and(|&byte| is_space(byte)) {
            position += 1;
        }
        if position == line.len() {
            return Ok((words, count));
        }
        let start = position;
        while line.get(position).is_some_and(|&byte| !is_space(byte)) {
            position += 1;
        }
        *words.get_mut(count).ok_or(Malformation::ArgumentCount)? = start..position;
        count += 1;
    }
}

/// Separates words: as in nats-server also a `\r` that is not before the line's end.
#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// A length, as nats-server reads it: up to nine digits, leading zeros allowed.
#[inline]
fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || limits::LENGTH_DIGITS < text.len() {
        return None;
    }
    text.iter().try_fold(0, |number, &digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit <= 9).then_some(10 * number + usize::from(digit))
    })
}
