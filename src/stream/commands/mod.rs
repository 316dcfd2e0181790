//! The commands of the durable streams, a file per family: a Redis user can store, read and replay messages.
//!
//! A command that changes something is answered once the disk has the change.  Later publications of a pipeline need not wait
//! for earlier ones; a command that reads a stream waits until everything is certain that was published there before.

pub mod changes;
pub mod publish;
pub mod read;
pub mod reports;
mod words;

use std::sync::Arc;

use quartet_protocol::resp::Output;

use super::api::error::{self, ApiError};
use super::definition::StreamDefinition;
use super::figures::StreamFigures;
use super::shared::Stream;
use crate::clock::Now;
use crate::command::{Awaited, Call, Command, Continuation, Encoder, Flags, Group, Services};
use crate::delivery::Effects;
use crate::refusal::Refusal;
use crate::wait::{Mailbox, Ticket};

/// The flags of commands that wait: a transaction could not.
const WAITING: Flags = Flags::NOSCRIPT.union(Flags::NO_MULTI);

/// The fields that all rows share.
const ROW: Command = Command {
    group: Group::Stream,
    since: "Quartet 0.1.0",
    flags: WAITING.union(Flags::BLOCKING),
    ..Command::ROW
};

/// The answer to a command, once it is certain.
enum Answer {
    /// The change was made.
    Done,
    /// So many messages were removed.
    Removed(u64),
    /// What a stream is and has.
    Described(Box<(StreamDefinition, StreamFigures)>),
    /// Every earlier change is certain, so the stream can be read.
    Settled,
    /// Why nothing was done.
    Refused(ApiError),
}

impl Awaited for Answer {
    fn cancel(ticket: &Ticket<Answer>, _: &Services, _: Now, _: &mut Effects) {
        // The change is made even if the client does not wait for the answer.
        ticket.close();
    }
}

/// Writes the answer to a command.
struct AnswerEncoder;

impl Encoder<Answer> for AnswerEncoder {
    fn write(&mut self, answer: Answer, output: &mut Output, _: &mut Continuation) {
        match answer {
            Answer::Done | Answer::Settled => output.ok(),
            Answer::Removed(count) => output.integer(count as i64),
            Answer::Described(described) => reports::write_described(&described.0, &described.1, output),
            Answer::Refused(error) => output.error(refusal(&error).text()),
        }
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null();
    }
}

/// The stream with the name in an argument.
fn stream(call: &Call<'_, '_>, position: usize) -> Result<Arc<Stream>, Refusal> {
    let name = words::text("the name of the stream", call.arguments.at(position))?;
    call.services.streams.find(name).ok_or_else(|| refusal(&error::STREAM_NOT_FOUND.error()))
}

/// A ticket for the answer to a call, and where the answer is put.
fn ticket(call: &Call<'_, '_>) -> Result<(Ticket<Answer>, Arc<Mailbox<Answer>>), Refusal> {
    if !call.may_wait() {
        return Err(Refusal::NOT_IN_TRANSACTIONS);
    }
    let ticket = Ticket::new(0);
    let mailbox = Arc::clone(ticket.mailbox());
    Ok((ticket, mailbox))
}

/// Hands an answer to the waiting client, unless it has left.
fn put(mailbox: &Mailbox<Answer>, answer: Answer) {
    drop(mailbox.put(answer));
}

/// An error of the streams as a RESP error.
fn refusal(error: &ApiError) -> Refusal {
    let code = match error.err_code {
        number if number == error::STREAM_NOT_FOUND.number => "NOSTREAM",
        number if number == error::WRONG_LAST_SEQUENCE.number => "WRONGSEQ",
        _ => "ERR",
    };
    Refusal::new(format!("{code} {error}"))
}
