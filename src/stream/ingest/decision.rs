//! Whether a message is stored, in the order in which nats-server looks at it.

use quartet_protocol::broker::subject;

use super::HEADERS_MAX;
use super::headers::{self, Lifetime, Rollup, Schedule, Wishes};
use crate::stream::api::error::{self, ApiError};
use crate::stream::definition::StreamDefinition;

/// What a stream has that a publisher may expect something of.
pub trait Stored {
    /// The sequence of the last message; zero if there was none yet.
    fn last_sequence(&self) -> u64;

    /// The id of the last message; empty if it had none.
    fn last_message_id(&self) -> &[u8];

    /// The sequence of the last message whose subject matches; zero if there is none.
    fn last_on(&self, pattern: &[u8]) -> u64;

    /// The sequence of the message that came with this id within the window.
    fn with_id(&self, id: &[u8]) -> Option<u64>;

    /// Whether it knows as many ids as it can ([`super::MessageIds::is_full`]).
    fn is_full_of_ids(&self) -> bool;
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'h> {
    /// It is stored on these terms.
    Store(Terms<'h>),
    /// It was stored already, with this sequence.
    Duplicate(u64),
}

/// On which terms a message is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms<'h> {
    /// Which messages before it are removed.
    pub rollup: Option<Rollup>,
    /// How long it lives, if not as long as the stream lets it.
    pub lifetime: Option<Lifetime>,
    /// When and where the stream publishes it.
    pub schedule: Option<Schedule<'h>>,
}

/// What is to be done with a message of these lengths that comes on `subject` at `now`, in nanoseconds since 1970.
pub fn decide<'h>(
    stream: &StreamDefinition,
    subject: &[u8],
    headers_length: usize,
    payload_length: usize,
    wishes: &Wishes<'h>,
    stored: &impl Stored,
    now: i64,
) -> Result<Verdict<'h>, ApiError> {
    if wishes.unbuilt.batch.is_some() {
        return Err(error::ATOMIC_PUBLISH_DISABLED.error());
    }
    check_size(stream, headers_length, payload_length)?;
    if stream.sealed {
        return Err(error::STREAM_SEALED.error());
    }
    if let Some(increment) = wishes.unbuilt.increment {
        let is_valid = headers::is_increment(increment);
        return Err(if is_valid { error::COUNTERS_DISABLED } else { error::INCREMENT_INVALID }.error());
    }
    if wishes.expected_stream.is_some_and(|expected| expected != stream.name.as_bytes()) {
        return Err(error::STREAM_NOT_MATCH.error());
    }
    let lifetime = wishes.lifetime.map(Lifetime::parse);
    if !stream.allow_message_ttl && lifetime.flatten().is_some() {
        return Err(error::TTL_DISABLED.error());
    }
    check_sequences(subject, wishes, stored)?;
    let schedule = schedule(stream, subject, wishes, now)?;
    if let Some(sequence) = wishes.message_id.and_then(|id| stored.with_id(id)) {
        return Ok(Verdict::Duplicate(sequence));
    }
    if wishes.message_id.is_some() && stored.is_full_of_ids() {
        return Err(error::INSUFFICIENT_RESOURCES.error());
    }
    if wishes.expected_last_message_id.is_some_and(|expected| expected != stored.last_message_id()) {
        let last = String::from_utf8_lossy(stored.last_message_id());
        return Err(error::WRONG_LAST_MESSAGE_ID.with(last));
    }
    let rollup = rollup(stream, wishes)?;
    if lifetime == Some(None) {
        return Err(error::TTL_INVALID.error());
    }
    // A new schedule takes the place of the one that its subject had.
    let rollup = if schedule.is_some() { Some(Rollup::Subject) } else { rollup };
    Ok(Verdict::Store(Terms { rollup, lifetime: lifetime.flatten(), schedule }))
}

/// The terms of a message that was stored at `time`, in nanoseconds since 1970.  Since it was stored, its stream allowed what it
/// asks for, whatever the stream allows by now.
pub fn terms_of<'h>(wishes: &Wishes<'h>, time: i64) -> Terms<'h> {
    let schedule = due(wishes, time).zip(wishes.schedule_target).map(|(at, target)| {
        let lifetime = wishes.schedule_lifetime.and_then(Lifetime::parse);
        Schedule { at, target, lifetime }
    });
    let rollup =
        if schedule.is_some() { Some(Rollup::Subject) } else { wishes.rollup.and_then(Rollup::parse) };
    Terms { rollup, lifetime: Lifetime::read(wishes), schedule }
}

/// When a message that comes at `now` is to be published, if that is asked for and can be understood.
fn due(wishes: &Wishes<'_>, now: i64) -> Option<i64> {
    match (wishes.schedule, wishes.delay) {
        (Some(schedule), None) => headers::due_at(schedule),
        (None, Some(delay)) => headers::due_after(delay, now),
        _ => None,
    }
}

fn check_size(stream: &StreamDefinition, headers: usize, payload: usize) -> Result<(), ApiError> {
    let limit = usize::try_from(stream.max_message_size).unwrap_or(usize::MAX);
    if headers.saturating_add(payload) > limit {
        return Err(error::MESSAGE_TOO_LARGE.error());
    }
    if headers > HEADERS_MAX {
        return Err(error::HEADERS_TOO_LARGE.error());
    }
    Ok(())
}

fn check_sequences(subject: &[u8], wishes: &Wishes<'_>, stored: &impl Stored) -> Result<(), ApiError> {
    if wishes.expected_subject.is_some() && wishes.expected_last_subject_sequence.is_none() {
        return Err(error::EXPECTED_SUBJECT_SEQUENCE_MISSING.error());
    }
    let on_subject = wishes
        .expected_last_subject_sequence
        .map(|expected| (expected, stored.last_on(wishes.expected_subject.unwrap_or(subject))));
    let of_all = wishes.expected_last_sequence.map(|expected| (expected, stored.last_sequence()));
    for (expected, last) in on_subject.into_iter().chain(of_all) {
        // What is no number is expected in vain.
        let expected = std::str::from_utf8(expected).ok().and_then(|text| text.parse::<u64>().ok());
        if expected != Some(last) {
            return Err(error::WRONG_LAST_SEQUENCE.with(last));
        }
    }
    Ok(())
}

fn rollup(stream: &StreamDefinition, wishes: &Wishes<'_>) -> Result<Option<Rollup>, ApiError> {
    let Some(value) = wishes.rollup else { return Ok(None) };
    if !stream.allow_rollup || stream.deny_purge {
        return Err(error::ROLLUP_FAILED.with("rollup not permitted"));
    }
    let rollup = Rollup::parse(value).ok_or_else(|| {
        error::ROLLUP_FAILED.with(format_args!("rollup value invalid: {:?}", String::from_utf8_lossy(value)))
    })?;
    Ok(Some(rollup))
}

fn schedule<'h>(
    stream: &StreamDefinition,
    subject: &[u8],
    wishes: &Wishes<'h>,
    now: i64,
) -> Result<Option<Schedule<'h>>, ApiError> {
    if wishes.schedule.is_none() && wishes.delay.is_none() {
        return Ok(None);
    }
    if !stream.allow_message_schedules {
        return Err(error::SCHEDULES_DISABLED.error());
    }
    let at = due(wishes, now).filter(|_| wishes.unbuilt.schedule_zone.is_none());
    let at = at.ok_or_else(|| error::SCHEDULE_PATTERN_INVALID.error())?;
    let lifetime = match wishes.schedule_lifetime {
        Some(value) if stream.allow_message_ttl => {
            Some(Lifetime::parse(value).ok_or_else(|| error::SCHEDULE_TTL_INVALID.error())?)
        }
        Some(_) => return Err(error::TTL_DISABLED.error()),
        None => None,
    };
    let target = wishes
        .schedule_target
        .filter(|target| subject::is_literal(target) && *target != subject && stream.takes(target));
    let target = target.ok_or_else(|| error::SCHEDULE_TARGET_INVALID.error())?;
    if wishes.unbuilt.schedule_source.is_some() {
        return Err(error::SCHEDULE_SOURCE_INVALID.error());
    }
    let is_wrong = |rollup| Rollup::parse(rollup) != Some(Rollup::Subject);
    if wishes.unbuilt.schedule_rollup.is_some() || wishes.rollup.is_some_and(is_wrong) {
        return Err(error::SCHEDULE_ROLLUP_INVALID.error());
    }
    Ok(Some(Schedule { at, target, lifetime }))
}
