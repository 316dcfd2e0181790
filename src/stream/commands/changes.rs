//! STREAM.CREATE, STREAM.DELETE and STREAM.PURGE.

use std::sync::Arc;

use quartet_protocol::resp::number::parse_integer;

use super::words::{Words, number, text};
use super::{Answer, AnswerEncoder, ROW, put, stream, ticket};
use crate::command::{Call, Command, Handler};
use crate::delivery::Effects;
use crate::refusal::Refusal;
use crate::stream::Stream;
use crate::stream::api::bodies::{Purge, PurgeExtent};
use crate::stream::api::error::ApiError;
use crate::stream::definition::{Retention, Storage, StreamDefinition};
use crate::stream::json::Nanoseconds;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "stream.create",
        syntax: "stream SUBJECTS numsubjects subject [subject ...] [MAXMSGS count] [MAXBYTES bytes] [MAXAGE milliseconds] \
                 [MAXPERSUBJECT count] [RETENTION <LIMITS | INTEREST | WORKQUEUE>] [STORAGE <FILE | MEMORY>]",
        summary: "Creates a stream that keeps what is published on these subjects, which may have wildcards. An existing \
                  stream of the same definition is left as it is. NATS clients have more settings, and change streams.",
        complexity: "O(N) where N is the number of streams.",
        handler: Handler::Data(create),
        ..ROW
    },
    Command {
        name: "stream.delete",
        syntax: "stream",
        summary: "Deletes a stream with its messages and consumers.",
        handler: Handler::Data(delete),
        ..ROW
    },
    Command {
        name: "stream.purge",
        syntax: "stream [SUBJECT pattern] [BEFORE sequence | KEEP count]",
        summary: "Removes messages: all, those before a sequence, or all but the last ones; SUBJECT spares other subjects. \
                  Returns how many are gone.",
        complexity: "O(N) where N is the number of messages that go, O(1) if these are all.",
        handler: Handler::Data(purge),
        ..ROW
    },
];

/// Subjects that one command can name; a stream may have more.
const SUBJECTS_MAX: u64 = 1024;

fn create(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let definition = definition(text("the name of the stream", call.arguments.at(1))?, call)?;
    let (ticket, mailbox) = ticket(call)?;
    let created = Box::new(move |created: Result<&Arc<Stream>, ApiError>, _: &mut Effects| {
        put(&mailbox, created.map_or_else(Answer::Refused, |_| Answer::Done));
    });
    call.services.streams.create(definition, false, call.now(), created, call.effects);
    call.block(ticket, AnswerEncoder);
    Ok(())
}

fn definition(name: &str, call: &Call<'_, '_>) -> Result<StreamDefinition, Refusal> {
    let mut words = Words::new(call.arguments.from(2).iter());
    match words.next() {
        Some((word, _)) if word == b"SUBJECTS" => {}
        Some((_, written)) => return Err(Refusal::syntax_at(written)),
        None => return Err(Refusal::SYNTAX),
    }
    let count = number(words.value()?)?;
    if !(1..=SUBJECTS_MAX).contains(&count) {
        return Err(Refusal::new(format!(
            "ERR numsubjects must be the number of subjects, between 1 and {SUBJECTS_MAX}"
        )));
    }
    let mut definition = StreamDefinition::default();
    name.clone_into(&mut definition.name);
    for _ in 0..count {
        definition.subjects.push(words.text("a subject")?.to_owned());
    }
    while let Some((word, written)) = words.next() {
        match &*word {
            b"MAXMSGS" => definition.max_messages = limit(&mut words)?,
            b"MAXBYTES" => definition.max_bytes = limit(&mut words)?,
            b"MAXPERSUBJECT" => definition.max_messages_per_subject = limit(&mut words)?,
            b"MAXAGE" => definition.max_age = Nanoseconds(limit(&mut words)?.saturating_mul(1_000_000)),
            b"RETENTION" => definition.retention = retention(words.value()?)?,
            b"STORAGE" => definition.storage = storage(words.value()?)?,
            _ => return Err(Refusal::syntax_at(written)),
        }
    }
    Ok(definition)
}

/// A limit; zero is none.
fn limit(words: &mut Words<'_>) -> Result<i64, Refusal> {
    parse_integer(words.value()?).filter(|limit| *limit >= 0).ok_or(Refusal::NOT_AN_INTEGER)
}

fn retention(word: &[u8]) -> Result<Retention, Refusal> {
    match &*word.to_ascii_uppercase() {
        b"LIMITS" => Ok(Retention::Limits),
        b"INTEREST" => Ok(Retention::Interest),
        b"WORKQUEUE" => Ok(Retention::WorkQueue),
        _ => Err(Refusal::syntax_at(word)),
    }
}

fn storage(word: &[u8]) -> Result<Storage, Refusal> {
    match &*word.to_ascii_uppercase() {
        b"FILE" => Ok(Storage::File),
        b"MEMORY" => Ok(Storage::Memory),
        _ => Err(Refusal::syntax_at(word)),
    }
}

fn delete(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let stream = stream(call, 1)?;
    let (ticket, mailbox) = ticket(call)?;
    let deleted = Box::new(move |deleted: Result<(), ApiError>, _: &mut Effects| {
        put(&mailbox, deleted.map_or_else(Answer::Refused, |()| Answer::Done));
    });
    call.services.streams.delete(&stream, deleted, call.effects);
    call.block(ticket, AnswerEncoder);
    Ok(())
}

fn purge(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut purge = Purge::default();
    let mut words = Words::new(call.arguments.from(2).iter());
    while let Some((word, written)) = words.next() {
        let is_free = purge.extent == PurgeExtent::All;
        match &*word {
            b"SUBJECT" if purge.filter.is_none() => {
                purge.filter = Some(words.text("the pattern")?.to_owned())
            }
            b"BEFORE" if is_free => purge.extent = PurgeExtent::Before(words.number()?),
            b"KEEP" if is_free => purge.extent = PurgeExtent::Keep(words.number()?),
            _ => return Err(Refusal::syntax_at(written)),
        }
    }
    let stream = stream(call, 1)?;
    let (ticket, mailbox) = ticket(call)?;
    let removed = Box::new(move |_: &Arc<Stream>, removed: Result<u64, ApiError>, _: &mut Effects| {
        put(&mailbox, removed.map_or_else(Answer::Refused, Answer::Removed));
    });
    stream.purge(purge, removed, call.effects);
    call.block(ticket, AnswerEncoder);
    Ok(())
}
