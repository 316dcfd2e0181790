//! The parser of what a client sends: one operation at a time, in place, without allocating.
//!
//! An operation is a control line, for `PUB` and `HPUB` with a payload behind it.  The parser takes what nats-server
//! takes, and a little more: a payload may end with a bare `\n`, so that a message can be typed.  Where the parser differs, the tests say so with the reason.

use std::ops::Range;

use memchr::memchr;

use crate::broker::operation::{Malformation, Operation, Publication};
use crate::broker::words::{Words, is_blank, number};
use crate::limits;

/// Incremental parser of one client's operations: a few words, no heap.  It remembers its place inside a partial
/// operation, so that one which comes in many pieces is not read from its start with each.
#[derive(Debug, Default)]
pub struct Parser {
    place: Place,
}

/// The limits of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a control line.  The verb, one blank behind it and the line end do not count.  All other blanks do,
    /// and so does what stands behind a `PING`; nats-server counts neither.
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
#[derive(Clone, Debug, Default)]
enum Place {
    /// Nothing of an operation was seen.
    #[default]
    Start,
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

impl Parser {
    /// A parser at the start of an operation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the last step ended inside an operation.
    pub fn is_partial(&self) -> bool {
        !matches!(self.place, Place::Start)
    }

    /// Reads the operation at the start of `input`.  After [`Step::NeedMore`] the next input must begin with the bytes of
    /// this one; after [`Step::Operation`] it begins behind the consumed bytes; after [`Step::Malformed`] there is none.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Step<'a> {
        if !matches!(self.place, Place::Start) {
            return self.resume(input, limits);
        }
        self.start(input, limits)
    }

    #[inline]
    fn start<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Step<'a> {
        let Some(has_headers) = publishes(input) else { return self.start_other(input, limits) };
        let verb = PUBLISH.len() + usize::from(has_headers);
        let Some(line) = Words::<WORDS_MAX>::of(input, verb) else { return self.partial_line(input, limits) };
        match announcement(input, verb, &line, has_headers, limits) {
            Ok(announcement) => self.message(input, announcement),
            Err(malformation) => Step::Malformed(malformation),
        }
    }

    /// Takes up a partial operation where it was left.
    #[cold]
    fn resume<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Step<'a> {
        match std::mem::take(&mut self.place) {
            Place::Message(announcement) => self.message(input, announcement),
            Place::Line { searched } if memchr(b'\n', &input[searched..]).is_none() => {
                self.partial_line(input, limits)
            }
            Place::Line { .. } | Place::Start => self.start(input, limits),
        }
    }

    /// Reads an operation other than the publishing ones.
    fn start_other<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Step<'a> {
        let Some(line_feed) = memchr(b'\n', input) else { return self.partial_line(input, limits) };
        match other_operation(&input[..=line_feed], limits) {
            Ok(operation) => Step::Operation { operation, consumed: line_feed + 1 },
            Err(malformation) => Step::Malformed(malformation),
        }
    }

    /// What the start of a line can still become: an operation, unless its first bytes are no verb's or it is too long
    /// already.
    #[cold]
    fn partial_line<'a>(&mut self, line: &[u8], limits: &Limits) -> Step<'a> {
        let Some(&(verb, ..)) = VERBS.iter().find(|(verb, spaced, _)| may_become(line, verb, *spaced)) else {
            return Step::Malformed(Malformation::UnknownOperation);
        };
        // The last byte may be the `\r` of the line end.
        if limits.control_line + verb.len() + 2 < line.len() {
            return Step::Malformed(Malformation::ControlLineTooLong);
        }
        self.place = if line.is_empty() { Place::Start } else { Place::Line { searched: line.len() } };
        Step::NeedMore { at_least: 0 }
    }

    /// The message that was announced, once its payload and the line end behind it have come.
    #[inline]
    fn message<'a>(&mut self, input: &'a [u8], announcement: Announcement) -> Step<'a> {
        let end = announcement.start + announcement.total;
        let line_end = match input.get(end..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([b'\n', ..]) if is_typed(input, announcement.start, end) => 1,
            Some([] | [b'\r']) => return self.partial_message(1, announcement),
            None => return self.partial_message(end + 1 - input.len(), announcement),
            Some(_) => return Step::Malformed(Malformation::UnknownOperation),
        };
        let (headers, payload) = input[announcement.start..end].split_at(announcement.headers);
        let operation = Operation::Publish(Publication {
            subject: &input[announcement.subject],
            reply: &input[announcement.reply],
            headers,
            payload,
            has_headers: announcement.has_headers,
        });
        Step::Operation { operation, consumed: end + line_end }
    }

    #[cold]
    fn partial_message<'a>(&mut self, at_least: usize, announcement: Announcement) -> Step<'a> {
        self.place = Place::Message(announcement);
        Step::NeedMore { at_least }
    }
}

/// Whether the bare line feed at `end` closes a payload.  A return before it is the first half of `\r\n`, from a client
/// that has counted one byte too many, unless the control line ended with a bare line feed as well.
fn is_typed(input: &[u8], start: usize, end: usize) -> bool {
    input[end - 1] != b'\r' || input[start - 2] != b'\r'
}

/// The verb of a message without headers, in lower case.
const PUBLISH: &[u8] = b"pub";

/// Reads an operation from the text between its verb and the line feed.
type Read = for<'a> fn(&'a [u8]) -> Result<Operation<'a>, Malformation>;

/// The verbs, in lower case; whether white space must follow, since what follows the others is an argument or ignored; and
/// what they say.  The publishing ones are read by a quicker way.
const VERBS: &[(&[u8], bool, Option<Read>)] = &[
    (PUBLISH, true, None),
    (b"hpub", true, None),
    (b"sub", true, Some(subscribe)),
    (b"unsub", true, Some(unsubscribe)),
    (b"ping", false, Some(|_| Ok(Operation::Ping))),
    (b"pong", false, Some(|_| Ok(Operation::Pong))),
    (b"connect", false, Some(|arguments| Ok(Operation::Connect(arguments.trim_ascii())))),
    (b"info", false, Some(|_| Ok(Operation::Info))),
    (b"+ok", false, Some(|_| Ok(Operation::Ok))),
    (b"-err", true, Some(|arguments| Ok(Operation::Error(arguments.trim_ascii())))),
];

/// Whether `input` begins with a verb that publishes, and if so whether with headers.
#[inline]
fn publishes(input: &[u8]) -> Option<bool> {
    let lower = input.first_chunk::<4>()?.map(|byte| byte.to_ascii_lowercase());
    match lower {
        [b'p', b'u', b'b', b' ' | b'\t'] => Some(false),
        [b'h', b'p', b'u', b'b'] if input.get(4).is_some_and(|&byte| is_blank(byte)) => Some(true),
        _ => None,
    }
}

/// Whether a line that begins with `start` can begin with this verb.
fn may_become(start: &[u8], verb: &[u8], spaced: bool) -> bool {
    let length = verb.len().min(start.len());
    start[..length].eq_ignore_ascii_case(&verb[..length])
        && start.get(verb.len()).is_none_or(|&byte| !spaced || is_blank(byte))
}

/// Reads a line up to its line feed.
fn other_operation<'a>(line: &'a [u8], limits: &Limits) -> Result<Operation<'a>, Malformation> {
    let is_its = |(verb, spaced, _): &&(&[u8], bool, Option<Read>)| {
        verb.len() < line.len() && may_become(line, verb, *spaced)
    };
    let Some(&(verb, _, Some(read))) = VERBS.iter().find(is_its) else {
        return Err(Malformation::UnknownOperation);
    };
    let line_end = if line.ends_with(b"\r\n") { 2 } else { 1 };
    check_line(line.len() - line_end, verb.len(), limits)?;
    read(&line[verb.len()..])
}

#[inline]
fn check_line(length: usize, verb: usize, limits: &Limits) -> Result<(), Malformation> {
    match limits.control_line + verb + 1 < length {
        true => Err(Malformation::ControlLineTooLong),
        false => Ok(()),
    }
}

fn subscribe(arguments: &[u8]) -> Result<Operation<'_>, Malformation> {
    let words = Words::<3>::of(arguments, 0).ok_or(Malformation::ArgumentCount)?;
    let [first, second, third] = words.places.map(|place| &arguments[place]);
    match words.count {
        2 => Ok(Operation::Subscribe { subject: first, group: None, sid: second }),
        3 => Ok(Operation::Subscribe { subject: first, group: Some(second), sid: third }),
        _ => Err(Malformation::ArgumentCount),
    }
}

fn unsubscribe(arguments: &[u8]) -> Result<Operation<'_>, Malformation> {
    let words = Words::<2>::of(arguments, 0).ok_or(Malformation::ArgumentCount)?;
    let [sid, maximum] = words.places.map(|place| &arguments[place]);
    if !matches!(words.count, 1 | 2) {
        return Err(Malformation::ArgumentCount);
    }
    let maximum = number(maximum).map(|number| number as u64).filter(|&maximum| maximum > 0);
    Ok(Operation::Unsubscribe { sid, maximum })
}

#[inline]
fn announcement(
    input: &[u8],
    verb: usize,
    line: &Words<WORDS_MAX>,
    has_headers: bool,
    limits: &Limits,
) -> Result<Announcement, Malformation> {
    check_line(line.end, verb, limits)?;
    let [first, second, third, fourth] = line.places.clone();
    let (reply, headers, total) = match (has_headers, line.count) {
        (false, 2) => (0..0, None, second),
        (false, 3) => (second, None, third),
        (true, 3) => (0..0, Some(second), third),
        (true, 4) => (second, Some(third), fourth),
        _ => return Err(Malformation::ArgumentCount),
    };
    let length = |place: Range<usize>| number(&input[place]).ok_or(Malformation::InvalidLength);
    let headers = headers.map_or(Ok(0), length)?;
    let total = length(total)?;
    if total < headers {
        return Err(Malformation::HeadersTooLong);
    }
    if limits.payload < total {
        return Err(Malformation::PayloadTooLong);
    }
    Ok(Announcement { subject: first, reply, start: line.line_feed + 1, headers, total, has_headers })
}

/// The most words a line may have behind its verb: `HPUB subject reply headers total`.
const WORDS_MAX: usize = 4;
