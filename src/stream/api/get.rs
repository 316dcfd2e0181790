//! Which messages a request gets, one or many, as JSON or as such.

use super::error::{self, ApiError};
use super::request::Refusal;
use crate::stream::json::{Time, members, read_known};

/// `STREAM.MSG.GET` and `DIRECT.GET`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MessageGetBody {
    sequence: u64,
    last_by_subject: String,
    next_by_subject: String,
    /// Zero for one message; a negative one asks for none of many.
    batch: i64,
    max_bytes: i64,
    start_time: Option<Time>,
    multi_last: Vec<String>,
    up_to_sequence: u64,
    up_to_time: Option<Time>,
    no_headers: bool,
}

members! { MessageGetBody, "server.JSApiMsgGetRequest", {
    "seq" => sequence IfSet,
    "last_by_subj" => last_by_subject IfSet,
    "next_by_subj" => next_by_subject IfSet,
    "batch" => batch IfSet,
    "max_bytes" => max_bytes IfSet,
    "start_time" => start_time IfSet,
    "multi_last" => multi_last IfSet,
    "up_to_seq" => up_to_sequence IfSet,
    "up_to_time" => up_to_time IfSet,
    "no_hdr" => no_headers IfSet,
} }

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this sequence; zero is the first that there is.
    Sequence(u64),
    /// At the first message that was stored at this time or later, in nanoseconds since 1970.
    Time(i64),
}

/// Which message is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageGet {
    /// The one with this sequence.
    At(u64),
    /// The last whose subject matches.
    Last(String),
    /// The first from there on whose subject matches, if there is a pattern.
    Next(Start, Option<String>),
}

/// Up to where the past is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// Up to now.
    Now,
    /// Up to this sequence.
    Sequence(u64),
    /// Up to this time, in nanoseconds since 1970.
    Time(i64),
}

/// Which messages are wanted as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectGet {
    /// One.
    One(MessageGet),
    /// Several from there on whose subjects match, if there is a pattern.
    Batch {
        /// Where they begin.
        start: Start,
        /// The pattern of their subjects.
        subject: Option<String>,
        /// How many; zero only says how many there are.
        batch: usize,
        /// How many bytes they may have; zero for no limit.
        max_bytes: usize,
    },
    /// The last of each subject that matches one of the patterns.
    LastOfEach {
        /// The patterns.
        subjects: Vec<String>,
        /// Up to where the past is looked at.
        up_to: UpTo,
        /// Those with smaller sequences are left out.
        from: u64,
        /// How many; zero for no limit.
        batch: usize,
        /// How many bytes they may have; zero for no limit.
        max_bytes: usize,
    },
}

const BAD_REQUEST: &str = "Bad Request";
const EMPTY_REQUEST: &str = "Empty Request";
const MALFORMED_REQUEST: &str = "Malformed Request";

fn status<T>(description: &str) -> Result<T, Refusal> {
    Err(Refusal::Status(408, description.to_owned()))
}

impl MessageGetBody {
    /// What a get asks for, and whether it wants no headers.
    pub(super) fn message(self) -> Result<(MessageGet, bool), ApiError> {
        let no_headers = self.no_headers;
        let asks_for_many = self.batch != 0 || !self.multi_last.is_empty() || self.max_bytes != 0;
        let one = self.one();
        let one = one.filter(|_| !asks_for_many).ok_or_else(|| error::BAD_REQUEST.error())?;
        Ok((one, no_headers))
    }

    /// The one message that is asked for, if what is said fits together.
    fn one(self) -> Option<MessageGet> {
        let last = !self.last_by_subject.is_empty();
        let next = Some(self.next_by_subject).filter(|subject| !subject.is_empty());
        match (self.sequence, last, next, self.start_time) {
            (0, true, None, None) => Some(MessageGet::Last(self.last_by_subject)),
            (0, false, next, Some(time)) => Some(MessageGet::Next(Start::Time(time.nanoseconds()), next)),
            (sequence, false, Some(next), None) => {
                Some(MessageGet::Next(Start::Sequence(sequence), Some(next)))
            }
            (sequence, false, None, None) if sequence > 0 => Some(MessageGet::At(sequence)),
            _ => None,
        }
    }

    fn read_direct(body: &[u8]) -> Result<MessageGetBody, Refusal> {
        let mut read = MessageGetBody::default();
        match read_known(&mut read, body) {
            Ok(()) => Ok(read),
            Err(_) => status(MALFORMED_REQUEST),
        }
    }

    /// What a direct get asks for, and whether it wants no headers.
    pub(super) fn direct(body: &[u8]) -> Result<(DirectGet, bool), Refusal> {
        if body.is_empty() {
            return status(EMPTY_REQUEST);
        }
        let read = MessageGetBody::read_direct(body)?;
        let no_headers = read.no_headers;
        Ok((read.direct_get()?, no_headers))
    }

    fn direct_get(mut self) -> Result<DirectGet, Refusal> {
        let starts = self.sequence > 0 || self.start_time.is_some();
        let subjects = std::mem::take(&mut self.multi_last);
        let names_subject = !self.last_by_subject.is_empty() || !self.next_by_subject.is_empty();
        if !starts && !names_subject && subjects.is_empty() {
            return status(EMPTY_REQUEST);
        }
        if self.sequence > 0 && self.start_time.is_some() {
            return status(BAD_REQUEST);
        }
        // A negative limit is used up by the first message.
        let (batch, max_bytes) =
            (size(self.batch), if self.max_bytes < 0 { 1 } else { size(self.max_bytes) });
        if !subjects.is_empty() {
            let up_to = match (self.up_to_sequence, self.up_to_time) {
                (0, None) => UpTo::Now,
                (sequence, None) => UpTo::Sequence(sequence),
                (0, Some(time)) => UpTo::Time(time.nanoseconds()),
                _ => return status(BAD_REQUEST),
            };
            if names_subject {
                return status(BAD_REQUEST);
            }
            return Ok(DirectGet::LastOfEach { subjects, up_to, from: self.sequence, batch, max_bytes });
        }
        if self.batch == 0 {
            return self.one().map(DirectGet::One).map_or_else(|| status(BAD_REQUEST), Ok);
        }
        if !self.last_by_subject.is_empty() {
            return status(BAD_REQUEST);
        }
        let start =
            self.start_time.map_or(Start::Sequence(self.sequence), |time| Start::Time(time.nanoseconds()));
        let subject = Some(self.next_by_subject).filter(|subject| !subject.is_empty());
        Ok(DirectGet::Batch { start, subject, batch, max_bytes })
    }

    /// The same where the subject says of which subject the last message is wanted.
    pub(super) fn direct_last(subject: &str, body: &[u8]) -> Result<(DirectGet, bool), Refusal> {
        let read =
            if body.is_empty() { MessageGetBody::default() } else { MessageGetBody::read_direct(body)? };
        let no_headers = read.no_headers;
        if read != (MessageGetBody { no_headers, ..MessageGetBody::default() }) {
            return status(BAD_REQUEST);
        }
        Ok((DirectGet::One(MessageGet::Last(subject.to_owned())), no_headers))
    }
}

/// A count of a request; none for a negative one.
pub(super) fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
