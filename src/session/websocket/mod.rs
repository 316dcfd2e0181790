//! A conversation over a WebSocket: takes the frames off what the client sends, and puts frames around what the inner
//! conversation and its messages say.
//!
//! For NATS' bytes the frames mean nothing: their payloads are joined in place, and what comes with one read is run in one
//! go.  What goes out together is one frame, unless it is long.

mod inner;

use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::limits::UNAUTHENTICATED_BULK_LENGTH_MAX;
use quartet_protocol::websocket::handshake::Subprotocol;
use quartet_protocol::websocket::{
    self, CloseCode, Data, Decoder, Deflater, Event, FrameLimits, Inflater, Kind, Violation,
};

use self::inner::Inner;
use super::facts;
use super::keep_alive::Due;
use crate::client::{CloseReason, SharedClient};
use crate::clock::Now;
use crate::command::Flow;
use crate::command::executor::Executor;
use crate::settings::Settings;

/// Bytes that a message may have besides a payload.
const MESSAGE_OVERHEAD_MAX: usize = 64 * 1024;

/// While a client has this many bytes of answers to its pings unread, no more is read from it.
const PONGS_UNSENT_MAX: usize = 64 * 1024;

/// What client and server agreed on in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// The form of the conversation.
    pub subprotocol: Subprotocol,
    /// Whether messages may be compressed.
    pub has_compression: bool,
}

/// A thread's memory for WebSockets.
#[derive(Default)]
pub(super) struct Scratch {
    /// What the inner conversation writes, before it is put into frames.
    inner: Buffer,
    /// Made for the first message that is compressed.
    deflater: Option<Box<Deflater>>,
    inflater: Option<Box<Inflater>>,
}

/// One client's conversation.
pub struct Session {
    decoder: Decoder,
    inner: Inner,
    /// Input that came and was not looked at, since enough was published in one turn.
    held_back: Vec<u8>,
    has_compression: bool,
    /// A message that is taken only when it is whole, as far as it has come.
    message: Vec<u8>,
    /// Its kind, and whether it is compressed.
    message_form: (Kind, bool),
    /// Bytes of answers to pings that the client may not have read yet.
    pongs: usize,
    end: End,
}

/// Whether the conversation ends, and with which words.
enum End {
    /// It goes on.
    Open,
    /// The last frame has this code and this reason.
    Due(CloseCode, &'static str),
    /// The last frame was written.
    Said,
}

/// What is read of the input before something is done about it.
struct Decoded<'i> {
    /// Bytes of the stream.
    stream: &'i mut [u8],
    /// The input behind what was read.
    rest: &'i mut [u8],
    stop: Stop,
    /// The client has answered a ping.
    has_pong: bool,
}

/// Why no more of the input is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// A message is whole that has to be.
    Message,
    /// It is too long.
    TooLong,
    /// The input has ended, or the conversation.
    End,
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(agreement: Agreement, client: Arc<SharedClient>, authenticated: bool) -> Session {
        Session {
            decoder: Decoder::new(agreement.has_compression),
            inner: Inner::new(agreement.subprotocol, client, authenticated),
            held_back: Vec::new(),
            has_compression: agreement.has_compression,
            message: Vec::new(),
            message_form: (Kind::Binary, false),
            pongs: 0,
            end: End::Open,
        }
    }

    /// The client as others see it.
    pub fn shared(&self) -> &Arc<SharedClient> {
        self.inner.shared()
    }

    /// Whether the client may publish and subscribe.
    pub fn is_authenticated(&self) -> bool {
        self.inner.is_authenticated()
    }

    /// When it is to be tended next, in microseconds, if it knows.
    pub fn deadline(&self) -> Option<u64> {
        self.inner.deadline()
    }

    /// Says what the server has to say by itself.
    pub(super) fn tend(
        &mut self,
        executor: &mut Executor,
        scratch: &mut Scratch,
        output: &mut Buffer,
    ) -> Flow {
        let due = self.inner.tend(executor, &mut scratch.inner);
        let flow = match due {
            Due::Nothing => Flow::Continue,
            Due::Ping => {
                websocket::ping(output);
                Flow::Continue
            }
            Due::End(_) => Flow::Close,
        };
        self.note_end(flow);
        self.frame(scratch, output);
        flow
    }

    /// Takes input as it comes, runs what is complete, appends the answers to `output`, and says what becomes of the
    /// connection.  `input` is changed in place.
    pub(super) fn receive(
        &mut self,
        mut input: &mut [u8],
        executor: &mut Executor,
        scratch: &mut Scratch,
        output: &mut Buffer,
    ) -> Flow {
        loop {
            if self.shared().outbox.is_closing() {
                return Flow::Close;
            }
            // The input may have the client's password, which lifts this limit.
            let most = self.message_length_max(executor.settings());
            let Decoded { stream, rest, stop, has_pong } = self.decode(input, most, output);
            if has_pong {
                self.inner.note_pong(executor);
            }
            let mut flow = match stream.is_empty() {
                true => Flow::Continue,
                false => self.inner.receive(stream, executor, &mut scratch.inner),
            };
            if flow == Flow::Continue && stop == Stop::Message {
                flow = self.receive_message(most, executor, scratch);
            }
            self.note_end(flow);
            self.frame(scratch, output);
            if !matches!(self.end, End::Open) {
                return Flow::Close;
            }
            if stop == Stop::End || flow != Flow::Continue {
                return flow;
            }
            if self.inner.is_behind() || executor.is_turn_over() {
                self.held_back = rest.to_vec();
                return flow;
            }
            input = rest;
        }
    }

    /// Whether input waits that came and was not run.
    pub(super) fn is_behind(&self) -> bool {
        self.inner.is_behind() || !self.held_back.is_empty()
    }

    /// Ready once more input may be run.
    pub(super) fn poll_requests(&mut self, waker: &Waker, now: Now) -> Poll<()> {
        self.inner.poll_requests(waker, now)
    }

    /// Bytes that were received and not run, about.
    pub(super) fn waiting_input(&self) -> usize {
        self.inner.waiting_input() + self.held_back.len() + self.message.len()
    }

    /// Runs that input, as far as this turn goes.
    pub(super) fn resume(
        &mut self,
        executor: &mut Executor,
        scratch: &mut Scratch,
        output: &mut Buffer,
    ) -> Flow {
        if self.inner.is_behind() {
            let flow = self.inner.resume(executor, &mut scratch.inner);
            self.note_end(flow);
            self.frame(scratch, output);
            if flow != Flow::Continue || self.inner.is_behind() {
                return flow;
            }
        }
        let mut held_back = std::mem::take(&mut self.held_back);
        self.receive(&mut held_back, executor, scratch, output)
    }

    /// Takes frames off the input.
    fn decode<'i>(&mut self, input: &'i mut [u8], most: usize, output: &mut Buffer) -> Decoded<'i> {
        let limits = self.frame_limits(most);
        let (mut start, mut end, mut at, mut has_pong) = (0, 0, 0, false);
        let mut stop = Stop::End;
        while at < input.len() && stop == Stop::End {
            let step = match self.decoder.step(&mut input[at..], &limits) {
                Ok(step) => step,
                Err(violation) => {
                    self.violated(violation);
                    break;
                }
            };
            let next = at + step.consumed;
            match step.event {
                Event::NeedMore => {}
                Event::Pong(_) => has_pong = true,
                Event::Ping(payload) => {
                    let before = output.len();
                    websocket::pong(payload, output);
                    self.pongs += output.len() - before;
                }
                Event::Close(code) => {
                    self.end = End::Due(code.unwrap_or(CloseCode::NORMAL), "");
                    break;
                }
                Event::Data(data) => {
                    let range = at + data.range.start..at + data.range.end;
                    if data.is_compressed || !self.inner.is_stream() {
                        stop = self.gather(&input[range], &data, most);
                    } else if start == end {
                        (start, end) = (range.start, range.end);
                    } else {
                        input.copy_within(range.clone(), end);
                        end += range.len();
                    }
                }
            }
            at = next;
        }
        let (front, rest) = input.split_at_mut(at);
        Decoded { stream: &mut front[start..end], rest, stop, has_pong }
    }

    /// The limits of frames: pieces of a stream are taken as they come, so they and their messages may have any length.
    fn frame_limits(&self, most: usize) -> FrameLimits {
        let most = if self.inner.is_stream() { u64::MAX } else { most as u64 };
        FrameLimits { frame_length: most, message_length: most }
    }

    /// Adds a piece to the message that has to be whole.
    fn gather(&mut self, piece: &[u8], data: &Data, most: usize) -> Stop {
        if self.message.len() + piece.len() > most {
            self.violated(Violation::MessageTooLong);
            return Stop::TooLong;
        }
        self.message.extend_from_slice(piece);
        if !data.ends_message {
            return Stop::End;
        }
        self.message_form = (data.kind, data.is_compressed);
        Stop::Message
    }

    fn violated(&mut self, violation: Violation) {
        self.end = End::Due(violation.code(), violation.reason());
        facts(self.shared()).set_close_reason(match violation {
            Violation::FrameTooLong | Violation::MessageTooLong => CloseReason::PayloadTooLong,
            _ => CloseReason::ProtocolViolation,
        });
    }

    /// Runs the message that is whole.
    fn receive_message(&mut self, most: usize, executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        let mut message = std::mem::take(&mut self.message);
        let (kind, is_compressed) = self.message_form;
        let bytes = match is_compressed {
            false => Ok(&mut message[..]),
            true => scratch.inflater.get_or_insert_default().inflate(&message, most),
        };
        let checked = bytes.and_then(|bytes| match kind {
            // The decoder has checked texts that are not compressed.
            Kind::Text if is_compressed && std::str::from_utf8(bytes).is_err() => Err(Violation::InvalidUtf8),
            _ => Ok(bytes),
        });
        match checked {
            Ok(bytes) => self.inner.receive(bytes, executor, &mut scratch.inner),
            Err(violation) => {
                self.violated(violation);
                Flow::Close
            }
        }
    }

    /// Bytes of a message that has to be whole, compressed or not.
    fn message_length_max(&self, settings: &Settings) -> usize {
        match self.inner.is_authenticated() {
            true => 2 * settings.broker_max_payload + MESSAGE_OVERHEAD_MAX,
            false => UNAUTHENTICATED_BULK_LENGTH_MAX,
        }
    }

    /// Puts what the inner conversation has written into frames.
    fn frame(&self, scratch: &mut Scratch, output: &mut Buffer) {
        let Scratch { inner, deflater, .. } = scratch;
        let deflater = self.has_compression.then(|| &mut **deflater.get_or_insert_default());
        self.inner.frame(inner, deflater, output);
    }

    /// Takes messages for the client, as many as the connection should hold.
    pub(super) fn collect(&self, scratch: &mut Scratch, buffer: &mut Buffer) {
        if matches!(self.end, End::Said) {
            return;
        }
        self.inner.collect_behind(buffer.len(), &mut scratch.inner);
        self.frame(scratch, buffer);
    }

    /// Whether the client has read enough for more of its input to be run.
    pub(super) fn has_read(&self) -> bool {
        self.inner.has_read() && self.pongs <= PONGS_UNSENT_MAX
    }

    /// Notes that the client's socket has taken so many bytes, and whether those were all.
    pub(super) fn note_sent(&mut self, bytes: usize, is_all: bool) {
        self.inner.note_sent(bytes, is_all);
        if is_all {
            self.pongs = 0;
        }
    }

    /// Notes with which words the conversation ends, if the inner one has ended.
    fn note_end(&mut self, flow: Flow) {
        // To one that is cut off nothing more is said.
        if flow == Flow::Close && matches!(self.end, End::Open) && !self.shared().outbox.is_closing() {
            let (code, reason) = self.inner.ended_for().map_or((CloseCode::NORMAL, ""), close_code);
            self.end = End::Due(code, reason);
        }
    }

    /// Writes the last frame, once; after it nothing is written.
    pub(super) fn say_goodbye(&mut self, output: &mut Buffer) {
        let (code, reason) = match self.end {
            End::Due(code, reason) => (code, reason),
            // The server closes the connection once its messages are written.
            End::Open if !self.shared().outbox.is_empty() => return,
            End::Open => (CloseCode::GOING_AWAY, "the server closes the connection"),
            End::Said => return,
        };
        self.end = End::Said;
        websocket::close(code, reason, output);
    }

    /// Ends everything that the client has begun.
    pub(super) fn close(&mut self, executor: &mut Executor) {
        self.inner.close(executor);
    }
}

/// Errors that end a conversation, with the code and the reason of the last frame.  All others are breaches of the protocol.
const ENDS: &[(&str, CloseCode)] = &[
    ("Authorization Violation", CloseCode::POLICY),
    ("Authentication Timeout", CloseCode::POLICY),
    ("User Authentication Expired", CloseCode::POLICY),
    ("Stale Connection", CloseCode::POLICY),
    ("Maximum Payload Violation", CloseCode::TOO_BIG),
    ("maximum control line exceeded", CloseCode::TOO_BIG),
];

fn close_code(error: &'static str) -> (CloseCode, &'static str) {
    let known = ENDS.iter().find(|(text, _)| *text == error);
    (known.map_or(CloseCode::PROTOCOL_ERROR, |&(_, code)| code), error)
}
