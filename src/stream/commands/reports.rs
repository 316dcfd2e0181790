//! STREAM.LIST and STREAM.INFO.

use std::sync::Arc;

use quartet_protocol::resp::Output;

use super::{Answer, AnswerEncoder, ROW, put, stream, ticket};
use crate::command::{Call, Command, Flags, Handler};
use crate::delivery::Effects;
use crate::refusal::Refusal;
use crate::stream::Stream;
use crate::stream::definition::StreamDefinition;
use crate::stream::figures::{ConsumerFigures, StreamFigures};
use crate::stream::json::Time;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "stream.list",
        summary: "Returns all streams with how much they have.",
        complexity: "O(N) where N is the number of streams and their consumers.",
        flags: Flags::NOSCRIPT,
        handler: Handler::Data(list),
        ..ROW
    },
    Command {
        name: "stream.info",
        syntax: "stream",
        summary: "Returns what a stream is and has, and how far each of its consumers is.",
        complexity: "O(N) where N is the number of its consumers.",
        handler: Handler::Data(info),
        ..ROW
    },
];

fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let figures = call.services.streams.figures();
    call.output.array(figures.len());
    for stream in &figures {
        call.output.map(6);
        write_text(call.output, "stream", &stream.name);
        write_amounts(call.output, stream);
        write_number(call.output, "consumers", stream.consumers.len() as u64);
    }
    Ok(())
}

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let stream = stream(call, 1)?;
    let (ticket, mailbox) = ticket(call)?;
    let describe = Box::new(move |stream: &Arc<Stream>, _, _: &mut Effects| {
        put(&mailbox, Answer::Described(Box::new((stream.definition(), stream.figures()))));
    });
    stream.once_settled(describe, call.effects);
    call.block(ticket, AnswerEncoder);
    Ok(())
}

pub(super) fn write_described(definition: &StreamDefinition, figures: &StreamFigures, output: &mut Output) {
    output.map(17);
    write_text(output, "stream", &definition.name);
    output.bulk(b"subjects");
    output.array(definition.subjects.len());
    definition.subjects.iter().for_each(|subject| output.bulk(subject.as_bytes()));
    write_text(output, "retention", definition.retention.word());
    write_text(output, "discard", definition.discard.word());
    write_text(output, "storage", definition.storage.word());
    write_amounts(output, figures);
    let last_time =
        if figures.last_time == 0 { Time::ZERO } else { Time::from_nanoseconds(figures.last_time) };
    write_text(output, "last_time", &last_time.to_string());
    write_number(output, "subject_count", figures.subjects);
    write_limit(output, "max_messages", definition.max_messages);
    write_limit(output, "max_messages_per_subject", definition.max_messages_per_subject);
    write_limit(output, "max_bytes", definition.max_bytes);
    write_limit(
        output,
        "max_age_ms",
        if definition.max_age.0 > 0 { definition.max_age.0 / 1_000_000 } else { -1 },
    );
    output.bulk(b"consumers");
    output.array(figures.consumers.len());
    figures.consumers.iter().for_each(|consumer| write_consumer(output, consumer));
    write_text(output, "description", &definition.description);
}

fn write_consumer(output: &mut Output, consumer: &ConsumerFigures) {
    output.map(7);
    write_text(output, "consumer", &consumer.name);
    write_number(output, "delivered", consumer.delivered);
    write_number(output, "acknowledged", consumer.floor);
    write_number(output, "pending", consumer.pending);
    write_number(output, "ack_pending", consumer.ack_pending);
    write_number(output, "redelivered", consumer.redelivered);
    write_number(output, "waiting_requests", consumer.waiting);
}

/// Writes four fields.
fn write_amounts(output: &mut Output, figures: &StreamFigures) {
    write_number(output, "messages", figures.messages);
    write_number(output, "bytes", figures.bytes);
    write_number(output, "first_sequence", figures.first);
    write_number(output, "last_sequence", figures.last);
}

fn write_number(output: &mut Output, name: &str, number: u64) {
    output.bulk(name.as_bytes());
    output.integer(i64::try_from(number).unwrap_or(i64::MAX));
}

fn write_text(output: &mut Output, name: &str, text: &str) {
    output.bulk(name.as_bytes());
    output.bulk(text.as_bytes());
}

/// Writes a limit, or null if there is none.
fn write_limit(output: &mut Output, name: &str, limit: i64) {
    output.bulk(name.as_bytes());
    if limit < 0 { output.null() } else { output.integer(limit) }
}
