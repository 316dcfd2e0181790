//! The headers by which a publisher says what it expects and wants, and what they mean.
//!
//! A message for later is a schedule of NATS: `Nats-Schedule: @at <time>` with `Nats-Schedule-Target: <subject>`, a message like
//! any other that its stream publishes on the target when its time has come.  `Nats-Delay: 5s` is ours and says the same relative
//! to the moment of storing, for publishers whose clock is wrong or that cannot compute a time, such as a shell.  There is no
//! second mechanism behind it: what is due survives, is listed and is cancelled as a schedule is.  Schedules that come again
//! (`@every`, cron), or that publish another message than their own, are not built.

use quartet_protocol::broker::headers::Headers;

use crate::stream::header_names;

use super::durations;
use crate::stream::json::{Nanoseconds, Time};

/// Shortest lifetime of a message.
const LIFETIME_MIN: Nanoseconds = Nanoseconds::from_secs(1);

/// What a publisher expects and wants.  An empty value is as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes<'h> {
    /// The id by which the message is known if it comes again.
    pub message_id: Option<&'h [u8]>,
    /// The stream that must be the one.
    pub expected_stream: Option<&'h [u8]>,
    /// The sequence that must be the stream's last.
    pub expected_last_sequence: Option<&'h [u8]>,
    /// The sequence that must be the last of the subject; zero if the subject must have none.
    pub expected_last_subject_sequence: Option<&'h [u8]>,
    /// The pattern of subjects that is meant instead of the message's own.
    pub expected_subject: Option<&'h [u8]>,
    /// The id that the last message must have.
    pub expected_last_message_id: Option<&'h [u8]>,
    /// Which messages before it are removed.
    pub rollup: Option<&'h [u8]>,
    /// How long it lives.
    pub lifetime: Option<&'h [u8]>,
    /// When it is published.
    pub schedule: Option<&'h [u8]>,
    /// How long after it was stored it is published.
    pub delay: Option<&'h [u8]>,
    /// On which subject it is published then.
    pub schedule_target: Option<&'h [u8]>,
    /// How long it lives from then on.
    pub schedule_lifetime: Option<&'h [u8]>,
    /// What this server does not build and refuses.
    pub unbuilt: Unbuilt<'h>,
}

/// What a publisher asks for in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unbuilt<'h> {
    /// The batch that is stored as a whole.
    pub batch: Option<&'h [u8]>,
    /// What is added to a counter.
    pub increment: Option<&'h [u8]>,
    /// The time zone of a schedule.
    pub schedule_zone: Option<&'h [u8]>,
    /// The subject whose last message a schedule publishes.
    pub schedule_source: Option<&'h [u8]>,
    /// Which messages that one replaces.
    pub schedule_rollup: Option<&'h [u8]>,
}

/// A header and the member that it is kept in.
type Row = (&'static str, for<'w, 'h> fn(&'w mut Wishes<'h>) -> &'w mut Option<&'h [u8]>);

const HEADERS: [Row; 17] = [
    (header_names::MESSAGE_ID, |wishes| &mut wishes.message_id),
    (header_names::EXPECTED_STREAM, |wishes| &mut wishes.expected_stream),
    (header_names::EXPECTED_LAST_SEQUENCE, |wishes| &mut wishes.expected_last_sequence),
    (header_names::EXPECTED_LAST_SUBJECT_SEQUENCE, |wishes| &mut wishes.expected_last_subject_sequence),
    (header_names::EXPECTED_SUBJECT, |wishes| &mut wishes.expected_subject),
    (header_names::EXPECTED_LAST_MESSAGE_ID, |wishes| &mut wishes.expected_last_message_id),
    (header_names::ROLLUP, |wishes| &mut wishes.rollup),
    (header_names::LIFETIME, |wishes| &mut wishes.lifetime),
    (header_names::SCHEDULE, |wishes| &mut wishes.schedule),
    (header_names::DELAY, |wishes| &mut wishes.delay),
    (header_names::SCHEDULE_TARGET, |wishes| &mut wishes.schedule_target),
    (header_names::SCHEDULE_LIFETIME, |wishes| &mut wishes.schedule_lifetime),
    (header_names::BATCH_ID, |wishes| &mut wishes.unbuilt.batch),
    (header_names::INCREMENT, |wishes| &mut wishes.unbuilt.increment),
    (header_names::SCHEDULE_ZONE, |wishes| &mut wishes.unbuilt.schedule_zone),
    (header_names::SCHEDULE_SOURCE, |wishes| &mut wishes.unbuilt.schedule_source),
    (header_names::SCHEDULE_ROLLUP, |wishes| &mut wishes.unbuilt.schedule_rollup),
];

impl<'h> Wishes<'h> {
    /// What a block of headers says.  The first of two equal names counts, and case does.
    pub fn read(headers: Headers<'h>) -> Wishes<'h> {
        let (mut wishes, mut seen) = (Wishes::default(), [false; HEADERS.len()]);
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with(b"Nats-")) {
            let Some(place) = HEADERS.iter().position(|(known, _)| known.as_bytes() == name) else {
                continue;
            };
            if !std::mem::replace(&mut seen[place], true) && !value.is_empty() {
                *HEADERS[place].1(&mut wishes) = Some(value);
            }
        }
        wishes
    }

    /// The headers by which a publisher asks for something.
    #[cfg(test)]
    pub fn header_names() -> impl Iterator<Item = &'static str> {
        HEADERS.iter().map(|(name, _)| *name)
    }
}

/// Which messages before this one are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollup {
    /// Those on its subject.
    Subject,
    /// All.
    All,
}

impl Rollup {
    /// What the header says; nothing if it is neither.
    pub(super) fn parse(value: &[u8]) -> Option<Rollup> {
        match value.to_ascii_lowercase().as_slice() {
            b"sub" => Some(Rollup::Subject),
            b"all" => Some(Rollup::All),
            _ => None,
        }
    }
}

/// How long a message lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as the stream lets it, and longer than the stream's age.
    Never,
    /// So long from when it was stored.
    For(Nanoseconds),
}

impl Lifetime {
    /// The lifetime that a message asks for, if that can be understood.
    pub fn read(wishes: &Wishes<'_>) -> Option<Lifetime> {
        wishes.lifetime.and_then(Lifetime::parse)
    }

    /// What the header says; nothing if it is no duration of a second or more.
    pub(super) fn parse(value: &[u8]) -> Option<Lifetime> {
        if value.eq_ignore_ascii_case(b"never") {
            return Some(Lifetime::Never);
        }
        let duration = durations::parse(std::str::from_utf8(value).ok()?)?;
        (duration >= LIFETIME_MIN).then_some(Lifetime::For(duration))
    }
}

/// A message that its stream publishes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule<'h> {
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// On which subject.
    pub target: &'h [u8],
    /// How long it lives from then on, if not as long as the stream lets it.
    pub lifetime: Option<Lifetime>,
}

/// Whether it is a whole number, of any length, as a counter takes.
pub(super) fn is_increment(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"+").or(value.strip_prefix(b"-")).unwrap_or(value);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// When a schedule is due: `@at` and a time.
pub(super) fn due_at(value: &[u8]) -> Option<i64> {
    let time = std::str::from_utf8(value).ok()?.strip_prefix("@at ")?;
    Time::parse(time).map(Time::nanoseconds)
}

/// When a delayed message is due that is stored now.
pub(super) fn due_after(value: &[u8], now: i64) -> Option<i64> {
    let delay = durations::parse(std::str::from_utf8(value).ok()?)?;
    Some(now.saturating_add(delay.0))
}
