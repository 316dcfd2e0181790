//! The operations of one batch of input.

use bytes::Bytes;
use memchr::memchr;
use quartet_protocol::broker::{Limits, Malformation, Operation, Step, write};
use quartet_protocol::buffer::Buffer;
use quartet_protocol::limits::KEPT_LENGTH_MIN;

use super::Session;
use crate::access::Violation;
use crate::client::{BrokerOptions, CloseReason, LastOperation};
use crate::clock::Now;
use crate::command::Flow;
use crate::command::executor::{Executor, Publisher};
use crate::delivery::ROOM;
use crate::session::facts;

/// What a batch works with.
pub(super) struct Run<'r> {
    pub(super) session: &'r mut Session,
    pub(super) publisher: Publisher<'r>,
    pub(super) now: Now,
    pub(super) output: &'r mut Buffer,
    limits: Limits,
    pub(super) options: BrokerOptions,
    /// The client has been sent a message of its own, which is not delivered yet.
    pub(super) has_own_message: bool,
    pub(super) last_operation: LastOperation,
    /// Some streams have so many messages that their publishers have to wait.
    are_streams_crowded: bool,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        session: &'r mut Session,
        executor: &'r mut Executor,
        now: Now,
        output: &'r mut Buffer,
    ) -> Run<'r> {
        let publisher = executor.publisher();
        publisher.effects.set_stored_until(session.requests.stored_until);
        let are_streams_crowded = publisher.services.streams.are_crowded();
        let limits = Limits {
            control_line: publisher.settings.broker_max_control_line,
            payload: publisher.settings.broker_max_payload,
        };
        Run {
            options: session.facts().options(),
            session,
            publisher,
            now,
            output,
            limits,
            has_own_message: false,
            last_operation: LastOperation::None,
            are_streams_crowded,
        }
    }

    /// Completes the operation that has begun in earlier input and runs it.  Returns the input behind it.  No more bytes are
    /// copied than the operation has.
    ///
    /// # Errors
    /// If nothing more is to be run.
    pub(super) fn complete_pending<'i>(&mut self, mut input: &'i [u8]) -> Result<&'i [u8], Flow> {
        while !self.session.pending.is_empty() && !input.is_empty() {
            let wanted = match self.session.missing {
                0 => memchr(b'\n', input).map_or(input.len(), |line_feed| line_feed + 1),
                missing => missing.min(input.len()),
            };
            self.session.pending.extend_from_slice(&input[..wanted]);
            self.session.missing = self.session.missing.saturating_sub(wanted);
            input = &input[wanted..];
            if self.session.missing > 0 {
                break;
            }
            let pending = std::mem::take(&mut self.session.pending);
            let flow = self.pending_operation(pending);
            if flow != Flow::Continue {
                return Err(flow);
            }
        }
        Ok(input)
    }

    /// Runs the operation in `pending`, or puts it back if it is not complete.
    fn pending_operation(&mut self, pending: Vec<u8>) -> Flow {
        let mut parser = std::mem::take(&mut self.session.parser);
        let step = parser.next(&pending, &self.limits);
        self.session.parser = parser;
        match step {
            Step::NeedMore { at_least } => {
                self.session.pending = pending;
                self.expect(at_least);
                Flow::Continue
            }
            Step::Malformed(malformation) => self.malformed(malformation),
            Step::Operation { operation, .. } if self.has_to_wait(&operation) => {
                self.session.held_back = pending;
                Flow::Continue
            }
            Step::Operation { operation, .. } if pending.len() < KEPT_LENGTH_MIN => {
                self.operation(operation, None)
            }
            // Its payload is shared from here on.
            Step::Operation { .. } => {
                let buffer = Bytes::from(pending);
                match self.session.parser.next(&buffer, &self.limits) {
                    Step::Operation { operation, .. } => self.operation(operation, Some(&buffer)),
                    _ => Flow::Continue,
                }
            }
        }
    }

    /// Sets room aside for an operation that lacks so many bytes.
    fn expect(&mut self, at_least: usize) {
        let Session { pending, missing, .. } = &mut *self.session;
        *missing = at_least;
        // Without room it grows as it comes.  The line end may have one byte more.
        let _ = pending.try_reserve_exact(at_least + 1);
    }

    /// Runs the operations in the input, and keeps the start of an incomplete one.
    pub(super) fn operations(&mut self, input: &[u8]) -> Flow {
        let mut rest = input;
        while !rest.is_empty() {
            if self.session.shared.outbox.is_closing() {
                // Its own messages may have been too much for it: more of them would keep others waiting.
                return Flow::Close;
            }
            if self.publisher.effects.is_turn_over() || self.session.requests.are_unfinished() {
                self.session.held_back.extend_from_slice(rest);
                break;
            }
            if !self.session.is_authenticated() && !rest[0].eq_ignore_ascii_case(&b'c') {
                return self.refuse(CloseReason::Unauthenticated, "Authorization Violation");
            }
            match self.session.parser.next(rest, &self.limits) {
                Step::Operation { operation, .. } if self.has_to_wait(&operation) => {
                    self.session.held_back.extend_from_slice(rest);
                    break;
                }
                Step::Operation { operation, consumed } => {
                    let flow = self.operation(operation, None);
                    if flow != Flow::Continue {
                        return flow;
                    }
                    rest = &rest[consumed..];
                }
                Step::NeedMore { at_least } => {
                    self.session.pending = rest.to_vec();
                    self.expect(at_least);
                    break;
                }
                Step::Malformed(malformation) => return self.malformed(malformation),
            }
        }
        Flow::Continue
    }

    /// Whether it publishes to a stream that has to write first what it has.
    #[inline]
    fn has_to_wait(&mut self, operation: &Operation<'_>) -> bool {
        let Operation::Publish(publication) = operation else { return false };
        let Publisher { services, effects, .. } = &mut self.publisher;
        self.are_streams_crowded && services.fan_out.has_to_wait(publication.subject, effects)
    }

    fn malformed(&mut self, malformation: Malformation) -> Flow {
        let reason = match malformation {
            Malformation::PayloadTooLong => CloseReason::PayloadTooLong,
            Malformation::ControlLineTooLong => CloseReason::LineTooLong,
            _ => CloseReason::ProtocolViolation,
        };
        match malformation.answer() {
            Some(text) => self.refuse(reason, text),
            None => self.close(reason),
        }
    }

    /// Writes an error that ends the conversation.
    pub(super) fn refuse(&mut self, reason: CloseReason, text: &'static str) -> Flow {
        self.session.ended_for = Some(text);
        self.answer(|output| write::error(output, text));
        self.close(reason)
    }

    /// Ends the conversation without a word.
    pub(super) fn close(&mut self, reason: CloseReason) -> Flow {
        self.session.facts().set_close_reason(reason);
        Flow::Close
    }

    /// Tells the client what it may not do.
    #[cold]
    pub(super) fn refuse_violation(&mut self, violation: Violation<'_>) {
        let text = violation.to_string();
        self.answer(|output| write::error(output, text));
    }

    /// Writes an answer, behind the messages that wait for the client.
    pub(super) fn answer(&mut self, write: impl FnOnce(&mut Buffer)) {
        if std::mem::take(&mut self.has_own_message) {
            self.publisher.effects.hand_over();
        }
        let Session { answers, shared, .. } = &mut *self.session;
        answers.write(&shared.outbox, &mut self.publisher, self.output, write);
    }

    pub(super) fn acknowledge(&mut self) {
        if self.options.contains(BrokerOptions::VERBOSE) {
            self.answer(write::ok);
        }
    }

    /// Tells those who want to know that the client has come: at its CONNECT, or when it has said something else.
    pub(super) fn tell_connected(&mut self) {
        let Session { presence, shared, .. } = &mut *self.session;
        presence.come(shared, &mut self.publisher, self.now);
    }

    /// Delivers the effects and adds the numbers up.
    pub(super) fn finish(mut self) {
        if self.session.is_authenticated() {
            self.tell_connected();
        }
        let Publisher { services, effects, .. } = self.publisher;
        self.session.requests.stored_until = effects.stored_until();
        let facts = self.session.facts();
        facts.count_published(effects.published(self.session.shared.door.listener()));
        services.fan_out.deliver(effects);
        let outbox = &self.session.shared.outbox;
        outbox.collect(self.output, ROOM.saturating_sub(outbox.unsent()));
        if self.last_operation != LastOperation::None {
            facts.set_last_operation(self.last_operation);
        }
    }

    #[inline]
    fn operation(&mut self, operation: Operation<'_>, buffer: Option<&Bytes>) -> Flow {
        match operation {
            Operation::Publish(publication) => self.publish(publication, buffer),
            Operation::Subscribe { subject, group, sid } => {
                self.last_operation = LastOperation::Subscribe;
                self.subscribe(subject, group, sid);
                Flow::Continue
            }
            Operation::Unsubscribe { sid, maximum } => {
                self.last_operation = LastOperation::Unsubscribe;
                self.unsubscribe(sid, maximum);
                Flow::Continue
            }
            Operation::Ping => {
                self.last_operation = LastOperation::Ping;
                self.ping();
                Flow::Continue
            }
            Operation::Pong => {
                self.last_operation = LastOperation::Pong;
                let Session { keep_alive, shared, .. } = &mut *self.session;
                keep_alive.note_pong(facts(shared), self.now);
                Flow::Continue
            }
            Operation::Connect(json) => {
                self.last_operation = LastOperation::Connect;
                self.connect(json)
            }
            Operation::Info | Operation::Ok => Flow::Continue,
            Operation::Error(_) => self.close(CloseReason::ClientClosed),
        }
    }
}
