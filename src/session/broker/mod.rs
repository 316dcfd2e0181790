//! A conversation in the broker's protocol, which is that of NATS clients: takes operations and hands out messages.
//!
//! A batch of input is run in one go; its effects are delivered once, at its end.  The client's own messages and the
//! answers to its operations come in the order of the operations: an answer is written behind the messages that wait for
//! the client by then, so that a client which has its PONG has all messages from before its PING.

mod connect;
mod info;
mod login;
mod publish;
mod requests;
mod run;
mod subscribe;

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use bytes::Bytes;
use quartet_protocol::broker::{Parser, write};
use quartet_protocol::buffer::Buffer;

use crate::client::{BrokerFacts, BrokerOptions, CloseReason, SharedClient};
use crate::clock::Now;
use crate::command::executor::Executor;
use crate::command::{Flow, Services};
use crate::delivery::{Encoding, ROOM};

use super::answers::Answers;
use super::keep_alive::{Due, KeepAlive};
use super::presence::Presence;
use super::rights::{self, EXPIRED, Rights};
use super::{Refused, facts};
use info::Occasion;
use requests::Requests;
use run::Run;

/// The error for a client of another machine while there is no password.  It begins as the errors that clients know.
const PROTECTED: &str = "Authorization Violation: Quartet is running in protected mode because no password is set, and \
serves only clients on its own machine; to serve others set a password with --requirepass, or, if the network is \
trusted, switch the protection off with --protected-mode no";

/// Tells a client that is refused at the door why.  INFO comes first, without which clients do not read on.
pub(super) fn refusal(refused: Refused, services: &Services, addresses: (SocketAddr, SocketAddr)) -> Bytes {
    let mut output = Buffer::new();
    info::write(&mut output, services, Occasion::Greeting, 0, addresses);
    write::error(
        &mut output,
        match refused {
            Refused::Protected => PROTECTED,
            Refused::Full => "maximum connections exceeded",
        },
    );
    output.into_bytes()
}

/// One client's conversation.
pub struct Session {
    shared: Arc<SharedClient>,
    parser: Parser,
    stage: Stage,
    /// The start of an operation whose end has not come.
    pending: Vec<u8>,
    /// Input that came and was not run, since enough was published in one turn.
    held_back: Vec<u8>,
    /// Requests that are not done: until then no more operations are run.
    requests: Requests,
    /// How many bytes at least the operation in `pending` still lacks; 0 if that is unknown.
    missing: usize,
    answers: Answers,
    /// The revision of the announcement that the client knows.
    revision: u32,
    keep_alive: KeepAlive,
    /// Who the client is.
    rights: Rights,
    /// The error that has ended the conversation.
    ended_for: Option<&'static str>,
    presence: Presence,
}

/// How far the conversation has come.  A TLS handshake on the same connection would come between [`Stage::New`] and
/// [`Stage::Greeted`]: after INFO and before the first operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    /// Nothing was said.
    New,
    /// The client has INFO.  It may say CONNECT only, unless no password is needed.
    Greeted,
    /// It may say everything.
    Authenticated,
    /// The same, and it has said CONNECT.
    Connected,
    /// The same, and its first PING was answered.
    Answered,
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(client: Arc<SharedClient>, authenticated: bool) -> Session {
        client.outbox.set_encoding(Encoding::FramesWithoutHeaders);
        Session {
            keep_alive: KeepAlive::new(client.connected_at, authenticated),
            shared: client,
            parser: Parser::new(),
            stage: Stage::New,
            pending: Vec::new(),
            held_back: Vec::new(),
            requests: Requests::default(),
            missing: 0,
            answers: Answers::default(),
            revision: 0,
            rights: Rights::default(),
            ended_for: None,
            presence: Presence::default(),
        }
    }

    /// The client as others see it.
    pub fn shared(&self) -> &Arc<SharedClient> {
        &self.shared
    }

    /// Whether the client may publish and subscribe.
    pub fn is_authenticated(&self) -> bool {
        self.stage >= Stage::Authenticated
    }

    fn facts(&self) -> &BrokerFacts {
        facts(&self.shared)
    }

    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.shared.outbox.address(), self.shared.local_address)
    }

    /// Says what the server has to say by itself: INFO at the start and when it has changed, pings, the end of a
    /// conversation that takes too long.  To be called whenever the client is woken.
    pub fn tend(&mut self, executor: &mut Executor, output: &mut Buffer) -> Flow {
        let services = Arc::clone(executor.services());
        let revision = services.announcement.revision();
        if self.stage == Stage::New {
            self.stage =
                if self.keep_alive.is_authenticated() { Stage::Authenticated } else { Stage::Greeted };
            self.revision = revision;
            self.write_info(&services, Occasion::Greeting, output);
            self.keep_alive.begin(facts(&self.shared), executor.settings());
        }
        if self.revision != revision {
            self.revision = revision;
            let mut publisher = executor.publisher();
            let Some(ended) = self.rights.follow(&self.shared, &mut publisher) else {
                self.facts().set_close_reason(CloseReason::Expired);
                return self.end(EXPIRED, output);
            };
            services.fan_out.deliver(publisher.effects);
            ended.iter().for_each(|ended| write::error(output, rights::violation(ended).to_string()));
            if self.facts().options().contains(BrokerOptions::TAKES_INFO) {
                self.write_info(&services, Occasion::Greeting, output);
            }
        }
        if self.rights.has_requests() {
            self.rights.note_requests(&self.shared.outbox, services.clock.now());
        }
        if !self.facts().is_due() {
            return Flow::Continue;
        }
        if self.requests.are_unfinished() {
            // Its PONG may be among the input that waits.
            self.keep_alive.note_input();
        }
        let last_active = self.shared.last_active.load(Relaxed);
        let now = services.clock.now();
        match self.keep_alive.look(facts(&self.shared), last_active, now, executor.settings()) {
            Due::Nothing => Flow::Continue,
            Due::Ping => {
                write::ping(output);
                Flow::Continue
            }
            Due::End(text) => self.end(text, output),
        }
    }

    /// Ends the conversation with an error.
    fn end(&mut self, text: &'static str, output: &mut Buffer) -> Flow {
        write::error(output, text);
        self.ended_for = Some(text);
        Flow::Close
    }

    fn write_info(&self, services: &Services, occasion: Occasion, output: &mut Buffer) {
        info::write(output, services, occasion, self.shared.id, self.addresses());
    }

    /// Takes input as it comes, runs the operations that are complete, appends the answers to `output`, and says what
    /// becomes of the connection.
    pub fn receive(&mut self, input: &[u8], executor: &mut Executor, output: &mut Buffer) -> Flow {
        if self.is_behind() {
            self.held_back.extend_from_slice(input);
            return Flow::Continue;
        }
        let now = executor.services().clock.now();
        self.shared.last_active.store(now.millis(), Relaxed);
        self.keep_alive.note_input();
        let mut run = Run::new(self, executor, now, output);
        let flow = match run.complete_pending(input) {
            Ok(rest) => run.operations(rest),
            Err(flow) => flow,
        };
        run.finish();
        self.shared.pending_input.store(self.waiting_input(), Relaxed);
        flow
    }

    /// Bytes that were received and not run.
    pub fn waiting_input(&self) -> usize {
        self.pending.len() + self.held_back.len()
    }

    /// Whether input waits that came and was not run, since enough was published in one turn or a request is not done.
    pub fn is_behind(&self) -> bool {
        !self.held_back.is_empty() || self.requests.are_unfinished()
    }

    /// Ready once more operations may be run: all requests so far are done.  Else `waker` is woken then.
    pub fn poll_requests(&mut self, waker: &Waker, now: Now) -> Poll<()> {
        self.requests.poll(waker, now)
    }

    /// When it is to be tended next, in microseconds, if it knows.
    pub fn deadline(&self) -> Option<u64> {
        self.requests.deadline()
    }

    /// Runs that input, as far as this turn goes.
    pub fn resume(&mut self, executor: &mut Executor, output: &mut Buffer) -> Flow {
        let held_back = mem::take(&mut self.held_back);
        self.receive(&held_back, executor, output)
    }

    /// Whether the client has read enough of the answers for more of its operations to be run.
    pub fn has_read(&self) -> bool {
        self.answers.are_read()
    }

    /// Notes that the client's socket has taken so many bytes.
    pub fn note_sent(&mut self, bytes: usize, is_all: bool) {
        let written = &self.facts().bytes_out;
        written.store(written.load(Relaxed) + bytes as u64, Relaxed);
        self.answers.note_sent(bytes, is_all, &self.shared.outbox);
    }

    /// Takes messages for the client while `buffer` is not too long.
    pub fn collect(&self, buffer: &mut Buffer) {
        self.collect_behind(0, buffer);
    }

    /// The same, if so many bytes are on their way before those of `buffer`.
    pub fn collect_behind(&self, before: usize, buffer: &mut Buffer) {
        self.shared.outbox.collect(buffer, ROOM.saturating_sub(before));
    }

    /// The error that has ended the conversation, if one has.
    pub fn ended_for(&self) -> Option<&'static str> {
        self.ended_for
    }

    /// Ends the client's subscriptions, and tells that it has gone.
    pub fn close(&mut self, executor: &mut Executor) {
        let now = executor.services().clock.now();
        let mut publisher = executor.publisher();
        self.presence.go(&self.shared, &mut publisher, now);
        // The facts of those that have gone tell of their subscriptions.
        publisher.services.clients.disconnect(self.shared.id, now.millis());
        for ended in self.facts().take_subscriptions() {
            publisher.services.fan_out.unsubscribe(&ended, publisher.effects);
            ended.silence();
        }
        publisher.services.fan_out.deliver(publisher.effects);
    }
}
