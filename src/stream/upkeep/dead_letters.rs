//! Dead letters: a message that its consumer gives up is published on another subject, which a stream should keep.
//!
//! The letter is the message with its own headers, but for those that asked something of its stream, and with these:
//!
//! | header | what it says |
//! |---|---|
//! | `Nats-Stream`, `Nats-Subject`, `Nats-Sequence`, `Nats-Time-Stamp` | the message, as a direct get says it |
//! | `Nats-Consumer` | the consumer |
//! | `Nats-Deliveries` | how often it has delivered the message |
//! | `Nats-Dead-Letter-Cause` | why it gives it up: `max_deliveries`, `terminated` or `damaged` |
//! | `Nats-Dead-Letter-Time` | when |
//! | `Nats-Msg-Id` | an id that no other letter has |
//! | `Nats-Dead-Letter-Damage` | only if the message is damaged: where |
//!
//! The letter of a damaged message has neither its payload nor its headers, subject and time.
//!
//! In the stream that keeps the subject the letter and the note that the message has left its consumer are one record, so the letter
//! is stored exactly once.  While it cannot be stored, it is tried again, and the message is not lost.

use std::sync::Arc;

use quartet_protocol::broker::headers::HeaderBlock;

use super::RETRY_MICROS;
use crate::clock::Now;
use crate::delivery::{Effects, Message};
use crate::stream::consumer::effect::{Cause, DeadLetter};
use crate::stream::header_names;
use crate::stream::json::Time;
use crate::stream::reading::ReadError;
use crate::stream::record::LeftRecord;
use crate::stream::running::{LastRead, Work};
use crate::stream::shared::{Stream, nanoseconds};
use crate::stream::state::Place;
use crate::stream::store::{Incoming, Publisher};

/// The most letters that are tried again in one turn of a stream.
pub(super) const LETTERS_PER_TURN: usize = 256;

/// The time between two such turns, in microseconds.
const BREAK_MICROS: u64 = 50_000;

/// The headers that a letter has of its own.
const OWN: [&str; 9] = [
    header_names::STREAM,
    header_names::SUBJECT,
    header_names::SEQUENCE,
    header_names::TIME,
    header_names::CONSUMER,
    header_names::DELIVERIES,
    header_names::CAUSE,
    header_names::LEFT_TIME,
    header_names::DAMAGE,
];

/// A letter that could not be stored.
#[derive(Clone, Copy)]
pub(super) struct Letter {
    consumer: u64,
    letter: DeadLetter,
    /// Whether the log already says that it could not be stored.
    is_told: bool,
}

/// The consumer that gives a message up.
struct From {
    name: Arc<str>,
    /// When it was created, in nanoseconds since 1970.
    created: i64,
    /// Its dead-letter subject.
    subject: Box<[u8]>,
}

/// A dead letter.
struct Contents {
    subject: Box<[u8]>,
    headers: Vec<u8>,
    payload: Box<[u8]>,
}

impl Contents {
    fn message(&self) -> Message<'_> {
        Message { headers: &self.headers, ..Message::new(&self.subject, &self.payload) }
    }
}

impl Stream {
    /// Stores a message that its consumer gives up on the consumer's dead-letter subject.
    pub(in crate::stream) fn send_dead_letter(
        self: &Arc<Stream>,
        work: &mut Work,
        letter: &DeadLetter,
        now: Now,
        effects: &mut Effects,
    ) {
        let letter = Letter { consumer: work.consumer, letter: *letter, is_told: false };
        self.send_letter(letter, &mut work.reading, now, effects);
    }

    /// Tries letters again that could not be stored.
    pub(super) fn send_letters_again(self: &Arc<Stream>, now: Now, effects: &mut Effects) {
        let letters: Vec<Letter> = {
            let mut state = self.state.lock();
            let upkeep = &mut state.upkeep;
            if upkeep.retry_at.is_none_or(|at| at > now.micros()) {
                return;
            }
            let most = upkeep.letters.len().min(LETTERS_PER_TURN);
            let letters = upkeep.letters.drain(..most).collect();
            let is_more = !upkeep.letters.is_empty() || !upkeep.unpublished.is_empty();
            upkeep.retry_at = is_more.then_some(now.micros() + BREAK_MICROS);
            letters
        };
        let mut reading = LastRead::default();
        letters.into_iter().for_each(|letter| self.send_letter(letter, &mut reading, now, effects));
    }

    fn send_letter(
        self: &Arc<Stream>,
        letter: Letter,
        reading: &mut LastRead,
        now: Now,
        effects: &mut Effects,
    ) {
        let Letter { consumer, letter: DeadLetter { sequence, .. }, .. } = letter;
        let (from, place) = {
            let state = self.state.lock();
            let Some(slot) = state.consumers.get(consumer) else { return };
            let place = state.data.index.is_stored(sequence).then(|| state.data.place(sequence));
            let from = slot.definition.dead_letter_subject().map(|subject| From {
                name: Arc::clone(&slot.name),
                created: slot.created,
                subject: subject.as_bytes().into(),
            });
            (from, place)
        };
        // A consumer that has no dead-letter subject any more wants no letter, and a removed message cannot be sent.
        let is_there = place.is_some();
        let (Some(from), Some(place)) = (from, place) else {
            if is_there && letter.letter.cause == Cause::MaxDeliveries {
                self.leave_copy_behind(letter, effects);
            }
            return self.letter_has_left(letter, effects);
        };
        match self.compose(letter, &from, &place, reading, now) {
            Ok(contents) => self.store_letter(letter, contents, now, effects),
            Err(ReadError::Gone) => self.letter_has_left(letter, effects),
            Err(error) if error.is_damage() => {
                self.leave_copy_behind(letter, effects);
                let contents = self.compose_without_message(letter, &from, &error, now);
                self.store_letter(letter, contents, now, effects);
            }
            Err(error) => self.postpone(letter, &error, effects),
        }
    }

    fn compose(
        &self,
        letter: Letter,
        from: &From,
        place: &Place,
        reading: &mut LastRead,
        now: Now,
    ) -> Result<Contents, ReadError> {
        self.read(letter.letter.sequence, place, 0, reading, |message| {
            let mut headers = super::headers::without_requests(message.headers, &OWN);
            put(&mut headers, header_names::SUBJECT, message.subject);
            put(&mut headers, header_names::TIME, &time_text(message.time));
            // Numbers of consumers in memory come again after a restart, and so do sequences.
            self.put_letter_headers(&mut headers, letter, from, &message.time.to_string(), now);
            let (headers, payload) = (headers.finish(), message.payload.into());
            Contents { headers, payload, subject: from.subject.clone() }
        })
    }

    fn compose_without_message(&self, letter: Letter, from: &From, error: &ReadError, now: Now) -> Contents {
        let mut headers = super::headers::without_requests(&[], &OWN);
        put(&mut headers, header_names::DAMAGE, error.to_string().as_bytes());
        self.put_letter_headers(&mut headers, letter, from, &format!("damaged-{}", from.created), now);
        Contents { headers: headers.finish(), payload: Box::default(), subject: from.subject.clone() }
    }

    /// Adds the headers that every letter has.
    fn put_letter_headers(
        &self,
        headers: &mut HeaderBlock,
        letter: Letter,
        from: &From,
        id_end: &str,
        now: Now,
    ) {
        let Letter { consumer: number, letter: DeadLetter { sequence, deliveries, cause, .. }, .. } = letter;
        let id = format!("dead-letter-{}-{number}-{sequence}-{id_end}", self.id);
        put(headers, header_names::STREAM, self.name.as_bytes());
        put(headers, header_names::SEQUENCE, sequence.to_string().as_bytes());
        put(headers, header_names::CONSUMER, from.name.as_bytes());
        put(headers, header_names::DELIVERIES, deliveries.to_string().as_bytes());
        put(headers, header_names::CAUSE, cause.text().as_bytes());
        put(headers, header_names::LEFT_TIME, &time_text(nanoseconds(now)));
        put(headers, header_names::MESSAGE_ID, id.as_bytes());
    }

    /// Stores a letter in the stream that keeps its subject.  If none does, only the current subscribers get it.
    fn store_letter(self: &Arc<Stream>, letter: Letter, contents: Contents, now: Now, effects: &mut Effects) {
        let keeper = self.hub.streams().and_then(|streams| streams.keeping(&contents.subject));
        let Some(keeper) = keeper else {
            self.hub.fan_out.publish(&contents.message(), effects);
            return self.letter_has_left(letter, effects);
        };
        let Letter { consumer, letter: DeadLetter { sequence, .. }, .. } = letter;
        let source = Arc::clone(self);
        let contents = Arc::new(contents);
        let stored = Arc::clone(&contents);
        let tell = Publisher::Caller(Box::new(move |_, outcome, effects| match outcome {
            Ok(receipt) => {
                if !receipt.is_duplicate {
                    source.hub.fan_out.send_to(&stored.subject, &stored.message(), effects);
                }
                source.letter_has_left(letter, effects);
            }
            Err(error) => source.postpone(letter, &error, effects),
        }));
        let Contents { subject, headers, payload } = &*contents;
        let left = Some(LeftRecord { stream: self.id, consumer, sequence });
        if !keeper.store(&Incoming { subject, headers, payload, left }, now, tell, effects) {
            // The stream was deleted at this moment.
            self.postpone(letter, &"the stream is gone", effects);
        }
    }

    /// Has the stream keep a message of which the letter says nothing.
    fn leave_copy_behind(self: &Arc<Stream>, letter: Letter, effects: &mut Effects) {
        let sequence = letter.letter.sequence;
        self.tell_consumer_with_id(letter.consumer, effects, |slot, turn| {
            slot.consumer.leaves_copy_behind(turn, sequence);
        });
    }

    fn letter_has_left(self: &Arc<Stream>, letter: Letter, effects: &mut Effects) {
        let sequence = letter.letter.sequence;
        self.tell_consumer_with_id(letter.consumer, effects, |slot, turn| slot.consumer.left(turn, sequence));
    }

    /// Keeps a letter, to be tried again.
    fn postpone(&self, letter: Letter, error: &dyn std::fmt::Display, effects: &mut Effects) {
        if !letter.is_told {
            let sequence = letter.letter.sequence;
            tracing::warn!(stream = &*self.name, sequence, %error, "a dead letter cannot be stored, and is tried again");
        }
        let mut state = self.state.lock();
        state.upkeep.letters.push(Letter { is_told: true, ..letter });
        let again = self.hub.clock.now().micros().saturating_add(RETRY_MICROS);
        state.upkeep.retry_at.get_or_insert(again);
        self.plan(&mut state, effects);
    }
}

fn time_text(nanoseconds: i64) -> Vec<u8> {
    Time::from_nanoseconds(nanoseconds).to_string().into_bytes()
}

/// Adds a header.  Neither names nor subjects have line breaks, nor have the texts of errors.
fn put(headers: &mut HeaderBlock, name: &str, value: &[u8]) {
    let _ = headers.push(name.as_bytes(), value);
}
