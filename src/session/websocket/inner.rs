//! The conversation inside the frames, in one of the two forms.

use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::websocket::handshake::Subprotocol;
use quartet_protocol::websocket::{self, Deflater, Kind};

use crate::client::SharedClient;
use crate::clock::Now;
use crate::command::Flow;
use crate::command::executor::Executor;
use crate::session::keep_alive::Due;
use crate::session::{broker, json};

/// See the module's text.
pub(super) enum Inner {
    /// The bytes of NATS' protocol, in frames cut anywhere.
    Bytes(broker::Session),
    /// A JSON object per frame.
    Json(json::Session),
}

impl Inner {
    pub(super) fn new(subprotocol: Subprotocol, client: Arc<SharedClient>, authenticated: bool) -> Inner {
        match subprotocol {
            Subprotocol::Bytes => Inner::Bytes(broker::Session::new(client, authenticated)),
            Subprotocol::Json => Inner::Json(json::Session::new(client, authenticated)),
        }
    }

    /// Whether its messages are pieces of a stream, which may be taken as they come.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Inner::Bytes(_))
    }

    pub(super) fn shared(&self) -> &Arc<SharedClient> {
        match self {
            Inner::Bytes(session) => session.shared(),
            Inner::Json(session) => session.shared(),
        }
    }

    pub(super) fn is_authenticated(&self) -> bool {
        match self {
            Inner::Bytes(session) => session.is_authenticated(),
            Inner::Json(session) => session.is_authenticated(),
        }
    }

    /// Says what the server has to say by itself.  A ping of the WebSocket is left to the caller.
    pub(super) fn tend(&mut self, executor: &mut Executor, output: &mut Buffer) -> Due {
        match self {
            Inner::Bytes(session) => match session.tend(executor, output) {
                Flow::Close => Due::End(session.ended_for().unwrap_or_default()),
                _ => Due::Nothing,
            },
            Inner::Json(session) => session.tend(executor, output),
        }
    }

    /// When it is to be tended next, in microseconds, if it knows.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self {
            Inner::Bytes(session) => session.deadline(),
            Inner::Json(session) => session.deadline(),
        }
    }

    /// Takes bytes of the stream, or a whole message.
    pub(super) fn receive(&mut self, bytes: &[u8], executor: &mut Executor, output: &mut Buffer) -> Flow {
        match self {
            Inner::Bytes(session) => session.receive(bytes, executor, output),
            Inner::Json(session) => session.receive(bytes, executor, output),
        }
    }

    /// Whether input waits that came and was not run.
    pub(super) fn is_behind(&self) -> bool {
        match self {
            Inner::Bytes(session) => session.is_behind(),
            Inner::Json(session) => session.is_behind(),
        }
    }

    /// Ready once more input may be run.
    pub(super) fn poll_requests(&mut self, waker: &Waker, now: Now) -> Poll<()> {
        match self {
            Inner::Bytes(session) => session.poll_requests(waker, now),
            Inner::Json(_) => Poll::Ready(()),
        }
    }

    /// Bytes of the stream that were received and not run.
    pub(super) fn waiting_input(&self) -> usize {
        match self {
            Inner::Bytes(session) => session.waiting_input(),
            Inner::Json(session) => session.waiting_input(),
        }
    }

    /// Runs that input, as far as this turn goes.
    pub(super) fn resume(&mut self, executor: &mut Executor, output: &mut Buffer) -> Flow {
        match self {
            Inner::Bytes(session) => session.resume(executor, output),
            Inner::Json(session) => session.resume(executor, output),
        }
    }

    /// Notes a pong of the WebSocket.
    pub(super) fn note_pong(&mut self, executor: &Executor) {
        match self {
            // Its pings are operations.
            Inner::Bytes(_) => {}
            Inner::Json(session) => session.note_pong(executor),
        }
    }

    pub(super) fn has_read(&self) -> bool {
        match self {
            Inner::Bytes(session) => session.has_read(),
            Inner::Json(session) => session.has_read(),
        }
    }

    pub(super) fn note_sent(&mut self, bytes: usize, is_all: bool) {
        match self {
            Inner::Bytes(session) => session.note_sent(bytes, is_all),
            Inner::Json(session) => session.note_sent(bytes, is_all),
        }
    }

    pub(super) fn collect_behind(&self, before: usize, buffer: &mut Buffer) {
        match self {
            Inner::Bytes(session) => session.collect_behind(before, buffer),
            Inner::Json(session) => session.collect_behind(before, buffer),
        }
    }

    /// The error that has ended the conversation, if one has.
    pub(super) fn ended_for(&self) -> Option<&'static str> {
        match self {
            Inner::Bytes(session) => session.ended_for(),
            Inner::Json(session) => session.ended_for(),
        }
    }

    /// Puts what it has written into frames and clears that.
    pub(super) fn frame(
        &self,
        written: &mut Buffer,
        mut deflater: Option<&mut Deflater>,
        output: &mut Buffer,
    ) {
        match self {
            Inner::Bytes(_) => websocket::binary(written, deflater, output),
            Inner::Json(_) => {
                // An object has no line ends in it.
                let lines = std::mem::take(written).into_bytes();
                for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                    written.extend(line);
                    websocket::message(Kind::Text, written, deflater.as_deref_mut(), output);
                }
            }
        }
    }

    pub(super) fn close(&mut self, executor: &mut Executor) {
        match self {
            Inner::Bytes(session) => session.close(executor),
            Inner::Json(session) => session.close(executor),
        }
    }
}
