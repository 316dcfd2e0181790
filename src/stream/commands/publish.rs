//! STREAM.PUBLISH: publishes a message and replies once it is stored.

use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet_protocol::broker::headers::HeaderBlock;
use quartet_protocol::resp::Output;

use super::words::Words;
use super::{ROW, WAITING, refusal};
use crate::broker::subjects::check_subject;
use crate::clock::Now;
use crate::command::{Call, Command, Handler, Promise, Services};
use crate::delivery::{Effects, Listener, Message};
use crate::lock_order::{Mutex, rank};
use crate::refusal::Refusal;
use crate::stream::{Incoming, Outcome, OwedOutcome, Receipt, header_names};
use crate::wait::{Barrier, Durable, Lost, Position};

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "stream.publish",
    syntax: "subject message [ID message-id] [EXPECT <LAST sequence | LASTSUBJECT sequence>] \
             [HEADER name value [HEADER name value ...]]",
    summary: "Publishes a message on a subject that a stream keeps, and returns its stream, its sequence and whether it was \
              there already, once the disk has it. A message with an id that is known is not stored again. EXPECT refuses it \
              if the last sequence of the stream, or of the subject, is another one.",
    complexity: "O(N) where N is the number of subscriptions to the subject.",
    flags: WAITING,
    handler: Handler::Data(publish),
    ..ROW
}];

fn publish(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (subject, payload) = (call.arguments.at(1), call.arguments.at(2));
    check_subject(subject).map_err(|refused| Refusal::new(format!("NOPERM {refused}")))?;
    let headers = headers(Words::new(call.arguments.from(3).iter()))?;
    let longest = call.settings.broker_max_payload;
    if headers.len() + payload.len() > longest {
        return Err(Refusal::new(format!(
            "ERR a message may have {longest} bytes with its headers (broker-max-payload)"
        )));
    }
    let Some(stream) = call.services.streams.keeping(subject) else {
        return Err(Refusal::new("NOSTREAM no stream keeps this subject"));
    };
    let message = Message {
        headers: &headers,
        sender: call.caller.connection,
        listener: Listener::Resp,
        ..Message::new(subject, payload)
    };
    let receivers = call.services.fan_out.publish_to_subscribers(&message, call.effects);
    call.caller.has_own_message |= receivers.has_sender;
    let incoming = Incoming { subject, headers: &headers, payload, left: None };
    let owed = OwedOutcome::of(&stream, &incoming, call.now(), |_, _| (), call.effects);
    let Some(owed) = owed else {
        return Err(Refusal::new("NOSTREAM no stream keeps this subject"));
    };
    let slot = Arc::new(OutcomeSlot { owed, outcome: Mutex::default() });
    stream.slow_down_if_crowded(call.effects);
    let journal = Arc::clone(&slot) as Arc<dyn Durable>;
    call.delay_reply(Barrier { journal, position: Position::default() });
    // The reply is written once it is known.
    call.output.null();
    call.promise(|| Published(slot));
    Ok(())
}

/// The headers that the words behind a message ask for.
fn headers(mut words: Words<'_>) -> Result<Vec<u8>, Refusal> {
    let mut block = HeaderBlock::new();
    let mut push = |name: &[u8], value: &[u8]| {
        block.push(name, value).map_err(|invalid| Refusal::new(format!("ERR {invalid}")))
    };
    let mut is_expecting = false;
    let mut has_id = false;
    while let Some((word, written)) = words.next() {
        match &*word {
            b"ID" if !has_id => {
                has_id = true;
                let id = words.value()?;
                if id.is_empty() {
                    // From a variable that was never set: the retry would be taken for another message.
                    return Err(Refusal::new("ERR ID is empty"));
                }
                push(header_names::MESSAGE_ID.as_bytes(), id)?;
            }
            b"HEADER" => push(words.value()?, words.value()?)?,
            b"EXPECT" if !is_expecting => {
                is_expecting = true;
                let (what, written) = words.next().ok_or(Refusal::SYNTAX)?;
                let name = match &*what {
                    b"LAST" => header_names::EXPECTED_LAST_SEQUENCE,
                    b"LASTSUBJECT" => header_names::EXPECTED_LAST_SUBJECT_SEQUENCE,
                    _ => return Err(Refusal::syntax_at(written)),
                };
                push(name.as_bytes(), words.number()?.to_string().as_bytes())?;
            }
            _ => return Err(Refusal::syntax_at(written)),
        }
    }
    Ok(if block.is_empty() { Vec::new() } else { block.finish() })
}

/// The outcome of a message, once it is certain.
struct OutcomeSlot {
    owed: OwedOutcome,
    outcome: Mutex<Option<Outcome>, { rank::MAILBOX }>,
}

impl Durable for OutcomeSlot {
    fn poll_synced(&self, _: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if self.outcome.lock().is_some() {
            return Poll::Ready(Ok(()));
        }
        self.owed.poll(waker).map(|outcome| {
            *self.outcome.lock() = Some(outcome);
            Ok(())
        })
    }
}

/// The reply of a publication.
struct Published(Arc<OutcomeSlot>);

impl Promise for Published {
    fn write(&mut self, _: &Services, _: Now, output: &mut Output, _: &mut Effects) {
        let outcome = self.0.outcome.lock().take();
        let stream = self.0.owed.stream().name();
        match outcome {
            Some(Ok(Receipt { sequence, is_duplicate })) => {
                output.map(3);
                output.bulk(b"stream");
                output.bulk(stream.as_bytes());
                output.bulk(b"sequence");
                output.integer(sequence as i64);
                output.bulk(b"duplicate");
                output.integer(i64::from(is_duplicate));
            }
            Some(Err(error)) => output.error(refusal(&error).text()),
            None => output.error(Refusal::NOT_KEPT.text()),
        }
    }

    fn withdraw(&mut self, _: &Services, _: Now, _: &mut Effects) {
        // The message stays published.
    }
}
