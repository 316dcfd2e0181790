//! Storing messages: a message is checked, appended to the journal, and added to the unapplied changes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::broker::headers::Headers;
use quartet_protocol::broker::subject;

use super::api::error::{self, ApiError};
use super::filter::Filter;
use super::index::limits::Beside;
use super::ingest::{Stored, Terms, Verdict, Wishes, decide, raised};
use super::message::StoredMessage;
use super::record::{LeftRecord, Record};
use super::segment::message_size;
use super::shared::{Keeping, Life, State, Stream, nanoseconds};
use super::state::{Kept, Missing, Storing};
use super::unapplied::{Change, Then};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::journal::{Appended, NotAdmitted};
use crate::wait::{Lost, Position};

/// The shortest time between two lines of the log about messages that are not stored, in microseconds.
const UNTOLD_LOGGED_APART: u64 = 60_000_000;

/// A message that comes to a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'m> {
    /// The subject that it is published on.
    pub subject: &'m [u8],
    /// Its block of headers; empty if it has none.
    pub headers: &'m [u8],
    /// Its payload.
    pub payload: &'m [u8],
    /// The message that it is the dead letter of, if it is one.
    pub left: Option<LeftRecord>,
}

/// The outcome of a message, once it is certain.
pub type Outcome = Result<Receipt, ApiError>;

/// A message that is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Its sequence, or that of the message that came with the same id before.
    pub sequence: u64,
    /// Whether it was stored already.
    pub is_duplicate: bool,
}

/// Called with the outcome of a message.
pub(super) type Told = Box<dyn FnOnce(&Arc<Stream>, Outcome, &mut Effects) + Send>;

/// Who gets the outcome of a message.
pub enum Publisher<'p> {
    /// Nobody.
    Nobody,
    /// The subscribers of this subject, as the JSON of the API.
    Reply(&'p [u8]),
    /// A caller within the server.
    Caller(Told),
}

/// The stream's contents that a publisher's expectations are checked against: unapplied messages included.
struct Overlay<'s> {
    state: &'s State,
    last_on: u64,
    now: i64,
}

impl Stored for Overlay<'_> {
    fn last_sequence(&self) -> u64 {
        self.state.last_sequence()
    }

    fn last_message_id(&self) -> &[u8] {
        self.state.unapplied.newest().next().map_or(&self.state.data.last_message_id, |last| &last.message_id)
    }

    fn last_on(&self, _pattern: &[u8]) -> u64 {
        self.last_on
    }

    fn is_full_of_ids(&self) -> bool {
        self.state.data.ids.is_full()
    }

    fn with_id(&self, id: &[u8]) -> Option<u64> {
        self.state.data.ids.find(id, self.now)
    }
}

/// The decision about a message, which is made under the lock.
enum Decided {
    /// Its stream is deleted.
    Gone,
    /// It is not stored, whatever the stream has.
    Refused(ApiError),
    /// It is decided against what the stream has.
    Made(Made),
}

/// A decision with what comes of it.
struct Made {
    outcome: Outcome,
    /// From which position on the outcome is certain.
    end: Position,
    /// The message, if it is appended.
    change: Change,
}

impl Made {
    /// The message is not stored.  That may depend on an unapplied change, of which nobody may learn before the disk has it.
    fn known(outcome: Outcome, state: &State) -> Decided {
        let end = state.unapplied.end().unwrap_or_default();
        Decided::Made(Made { outcome, end, change: Change::Nothing })
    }
}

impl Stream {
    /// Stores a message, or refuses it.  False if the stream is deleted.
    pub fn store(
        self: &Arc<Stream>,
        message: &Incoming<'_>,
        now: Now,
        publisher: Publisher<'_>,
        effects: &mut Effects,
    ) -> bool {
        let wishes = Headers::new(message.headers).map(Wishes::read).unwrap_or_default();
        let mut publisher = Some(publisher);
        let refused = self.with(|state| {
            Ok(match self.decide(state, message, &wishes, nanoseconds(now))? {
                Decided::Gone => return Ok(None),
                Decided::Refused(error) => Some(Err(error)),
                Decided::Made(made) => {
                    if let Some(publisher) = publisher.take() {
                        self.note(state, made, publisher, effects);
                    }
                    Some(Ok(()))
                }
            })
        });
        let error = match refused {
            Ok(None) => return false,
            Ok(Some(Ok(()))) => return true,
            Ok(Some(Err(error))) => error,
            Err(error) => error::STORE_FAILED.with(error),
        };
        self.hub.totals.note_refusal();
        if let Some(publisher) = publisher {
            if matches!(publisher, Publisher::Nobody) {
                self.note_untold(&error, now, effects);
            }
            self.tell(publisher, Err(error), effects);
        }
        true
    }

    /// Decides what is to be done with a message, and appends it if it is stored.
    fn decide(
        self: &Arc<Stream>,
        state: &mut State,
        message: &Incoming<'_>,
        wishes: &Wishes<'_>,
        now: i64,
    ) -> Result<Decided, Missing> {
        if state.life == Life::Gone {
            return Ok(Decided::Gone);
        }
        if let Err(error) = self.admit(state) {
            return Ok(Decided::Refused(error));
        }
        if state.keeping(&self.hub) != Keeping::Memory && state.unapplied.is_full() {
            return Ok(Decided::Refused(error::TOO_MANY_REQUESTS.error()));
        }
        let last_on = match wishes.expected_last_subject_sequence {
            Some(_) => state.last_on(wishes.expected_subject.unwrap_or(message.subject))?,
            None => Ok(0),
        };
        let last_on = match last_on {
            Ok(last_on) => last_on,
            Err(error) => return Ok(Made::known(Err(error), state)),
        };
        let now = now.max(state.last_time());
        let overlay = Overlay { state, last_on, now };
        let (headers, payload) = (message.headers.len(), message.payload.len());
        let definition = state.data.definition();
        let verdict = decide(definition, message.subject, headers, payload, wishes, &overlay, now);
        let mut terms = match verdict {
            Ok(Verdict::Store(terms)) => terms,
            Ok(Verdict::Duplicate(sequence)) => {
                return Ok(Made::known(Ok(Receipt { sequence, is_duplicate: true }), state));
            }
            Err(error) => return Ok(Made::known(Err(error), state)),
        };
        let raised = raised(definition, terms.lifetime, message.headers);
        let mut message = *message;
        if let Some((lifetime, headers)) = &raised {
            (terms.lifetime, message.headers) = (Some(*lifetime), headers);
        }
        let message = &message;
        let is_replacing = match state.admit(message)? {
            Ok(is_replacing) => is_replacing,
            Err(error) => return Ok(Made::known(Err(error), state)),
        };
        Ok(self.append_message(state, message, wishes, &terms, is_replacing, now))
    }

    fn append_message(
        self: &Arc<Stream>,
        state: &mut State,
        message: &Incoming<'_>,
        wishes: &Wishes<'_>,
        terms: &Terms<'_>,
        is_replacing: bool,
        now: i64,
    ) -> Decided {
        let sequence = state.last_sequence() + 1;
        let Incoming { subject, headers, payload, left } = *message;
        let stored = StoredMessage { sequence, time: now, subject, headers, payload };
        let keeping = state.keeping(&self.hub);
        let appended = match keeping {
            Keeping::Memory => Appended { start: Appended::NOWHERE, end: Position::default() },
            _ => self.hub.append(&Record::Stored { stream: self.id, message: stored, left }),
        };
        let is_republished = state.data.definition().republish.is_some();
        let kept = (keeping != Keeping::Synced || is_republished).then(|| Kept::new(&stored));
        let storing = Storing {
            sequence,
            time: now,
            subject: subject.into(),
            lengths: [headers.len() as u32, payload.len() as u32],
            position: appended.start,
            message_id: wishes.message_id.unwrap_or_default().into(),
            rollup: terms.rollup,
            lifetime: terms.lifetime,
            due: terms.schedule.map(|schedule| schedule.at),
            kept,
            is_replacing,
        };
        if let Some(id) = wishes.message_id {
            state.data.ids.insert(id, sequence, now);
        }
        if keeping == Keeping::Async {
            state.unsynced.push_back((appended.end, sequence));
            self.hub.list_until(self, appended.end);
        }
        // A change that counts at once waits only for the changes before it.
        let end = if keeping == Keeping::Async { Position::default() } else { appended.end };
        let outcome = Ok(Receipt { sequence, is_duplicate: false });
        Decided::Made(Made { outcome, end, change: Change::Store(Box::new(storing)) })
    }

    /// Adds a decision to the unapplied changes.
    fn note(
        self: &Arc<Stream>,
        state: &mut State,
        made: Made,
        publisher: Publisher<'_>,
        effects: &mut Effects,
    ) {
        let Made { outcome, end, change } = made;
        self.hub.totals.note(&outcome);
        let is_untold = match publisher {
            Publisher::Nobody => true,
            Publisher::Reply(_) => state.data.definition().no_acknowledgement,
            Publisher::Caller(_) => false,
        };
        if let (Err(error), true) = (&outcome, is_untold) {
            self.note_untold(error, self.hub.clock.now(), effects);
        }
        let then = match publisher {
            Publisher::Nobody => Then::Nothing,
            Publisher::Reply(_) if is_untold => Then::Nothing,
            Publisher::Reply(reply) => match outcome {
                Ok(Receipt { sequence, is_duplicate }) => {
                    Then::Acknowledge { reply: reply.into(), sequence, is_duplicate }
                }
                Err(error) => Then::Refuse { reply: reply.into(), error: Box::new(error) },
            },
            Publisher::Caller(call) => Then::Call(Box::new(move |stream, synced, effects| {
                let outcome = match synced {
                    Ok(()) => outcome,
                    Err(Lost) => Err(lost()),
                };
                call(stream, outcome, effects);
            })),
        };
        if matches!((&change, &then), (Change::Nothing, Then::Nothing)) {
            return;
        }
        let end = self.push(state, end, change, then, effects);
        effects.note_stored(end);
    }

    /// Counts a message that is not stored and whose publisher has no reply subject to be told on, and says so in the log now and
    /// then.  A publisher that waits for a reply of another kind learns of it by that.
    fn note_untold(&self, error: &ApiError, now: Now, effects: &mut Effects) {
        self.hub.totals.note_untold();
        effects
            .note_refused(format!("stream {} has not stored the message: {}", self.name, error.description));
        let last = self.refusal_logged.load(Relaxed);
        if last == 0 || now.micros() >= last + UNTOLD_LOGGED_APART {
            self.refusal_logged.store(now.micros().max(1), Relaxed);
            let reason = &error.description;
            tracing::warn!(stream = &*self.name, %reason, "a message is not stored, and its publisher wants no answer");
        }
    }

    /// Gives a publisher the outcome at once.
    fn tell(self: &Arc<Stream>, publisher: Publisher<'_>, outcome: Outcome, effects: &mut Effects) {
        match publisher {
            Publisher::Nobody => {}
            Publisher::Reply(reply) => match outcome {
                Ok(receipt) => self.acknowledge(reply, receipt, effects),
                Err(error) => self.refuse(reply, &error, effects),
            },
            Publisher::Caller(call) => call(self, outcome, effects),
        }
    }
}

impl State {
    /// The sequence of the last message, unapplied ones included.
    pub(super) fn last_sequence(&self) -> u64 {
        let last = self.data.index.last();
        self.unapplied.last_sequence().map_or(last, |unapplied| unapplied.max(last))
    }

    /// When the last message was stored, unapplied ones included.
    pub(super) fn last_time(&self) -> i64 {
        self.unapplied.newest().next().map_or(self.data.last_time, |last| last.time)
    }

    /// The sequence of the first message on its way that was published at or after a time, or of the next one.
    pub(super) fn unapplied_since(&self, time: i64) -> u64 {
        let later = self.unapplied.newest().take_while(|message| message.time >= time);
        later.last().map_or(self.last_sequence() + 1, |first| first.sequence)
    }

    /// The sequence of the last message whose subject matches, unapplied ones included; zero if there is none.  An error for the
    /// publisher if nobody knows, because a later message is unknown.
    fn last_on(&mut self, pattern: &[u8]) -> Result<Result<u64, ApiError>, Missing> {
        let unapplied = if subject::is_literal(pattern) {
            let unapplied = self.unapplied.of_subject(pattern);
            (unapplied.count > 0).then_some(unapplied.last)
        } else {
            let mut unapplied = self.unapplied.newest();
            let last = unapplied.find(|message| subject::matches(pattern, &message.subject));
            last.map(|message| message.sequence)
        };
        if let Some(last) = unapplied {
            return Ok(Ok(last));
        }
        let last = self.data.last_known(u64::MAX, &Filter::of([pattern]))?;
        match self.data.index().last_unknown(u64::MAX).filter(|unknown| Some(*unknown) > last) {
            Some(unknown) => Ok(Err(error::STORE_FAILED.with(format_args!(
                "message {unknown} is damaged and may be the last one of the subject: delete it first"
            )))),
            None => Ok(Ok(last.unwrap_or(0))),
        }
    }

    /// Whether there is room for a message, unapplied ones included; if there is, whether it takes the place of another one.
    fn admit(&mut self, message: &Incoming<'_>) -> Result<Result<bool, ApiError>, Missing> {
        if !self.data.refuses_when_full() {
            return Ok(Ok(false));
        }
        let of_subject = match self.data.limits().max_messages_per_subject {
            Some(_) => self.unapplied.of_subject(message.subject).count,
            None => 0,
        };
        let beside =
            Beside { messages: self.unapplied.added(), bytes: self.unapplied.stored().1, of_subject };
        let size = message_size(message.subject.len(), message.headers.len(), message.payload.len());
        let admitted = self.data.admit(message.subject, size, beside)?;
        let is_replacing = self.data.limits().is_replacing(self.data.index(), beside, message.subject);
        Ok(admitted.map(|()| is_replacing).map_err(|full| error::STORE_FAILED.with(full)))
    }
}

/// The refusal of a message while nothing can be stored.
pub(super) fn refusal(reason: &NotAdmitted) -> ApiError {
    match reason {
        NotAdmitted::Stalled => error::STORAGE_RESOURCES_EXCEEDED.error(),
        NotAdmitted::Failed => error::STORE_FAILED.with("the disk has failed: restart the server"),
        NotAdmitted::Behind => error::INSUFFICIENT_RESOURCES.error(),
        NotAdmitted::Unmade(reason) => error::STORE_FAILED.with(reason),
    }
}

/// The error of a change that may be lost because the disk has failed.
pub(super) fn lost() -> ApiError {
    error::STORE_FAILED.with(Lost)
}
