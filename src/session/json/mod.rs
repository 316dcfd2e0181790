//! A conversation of JSON objects, for people and for small programs in browsers: one operation per frame, and one answer
//! or message per frame.
//!
//! The client gets its messages and the answers to its operations in the order of the events, as in the broker's protocol.
//! Subjects that belong to the talk between NATS clients and the server are closed to it, see
//! [`subjects`](crate::broker::subjects).

mod answer;
mod follows;
mod pending;
mod request;
mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::buffer::Buffer;

use self::answer::{Answer, ErrorCode, Failure, Info};
use self::follows::Follows;
use self::pending::Pending;
use self::run::Run;
use super::answers::Answers;
use super::facts;
use super::keep_alive::{Due, KeepAlive};
use super::presence::Presence;
use super::rights::{self, EXPIRED, Rights};
use crate::broker::announcement::SERVER_NAME;
use crate::client::{BrokerFacts, BrokerOptions, CloseReason, SharedClient};
use crate::command::executor::Executor;
use crate::command::{Flow, Services};
use crate::delivery::{Encoding, ROOM};

/// One client's conversation.
pub(super) struct Session {
    shared: Arc<SharedClient>,
    keep_alive: KeepAlive,
    rights: Rights,
    is_greeted: bool,
    /// The revision of the announcement that the client knows.
    revision: u32,
    /// The number of the last subscription or request to which the server gave its id.
    last_id: u64,
    pending: Pending,
    /// How many of the messages that each subscription has missed the client has acknowledged.
    acknowledged: HashMap<Box<[u8]>, u64>,
    answers: Answers,
    follows: Follows,
    presence: Presence,
    /// The operation that waits because it publishes to a stream that has to write first what it has.
    held_back: Vec<u8>,
    /// The error that has ended the conversation.
    ended_for: Option<&'static str>,
}

impl Session {
    /// A conversation that has just begun.
    pub(super) fn new(client: Arc<SharedClient>, authenticated: bool) -> Session {
        client.outbox.set_encoding(Encoding::Json);
        facts(&client).set_options(BrokerOptions::ECHO | BrokerOptions::HEADERS);
        Session {
            keep_alive: KeepAlive::new(client.connected_at, authenticated),
            shared: client,
            rights: Rights::default(),
            is_greeted: false,
            revision: 0,
            last_id: 0,
            pending: Pending::default(),
            acknowledged: HashMap::new(),
            answers: Answers::default(),
            follows: Follows::default(),
            presence: Presence::default(),
            held_back: Vec::new(),
            ended_for: None,
        }
    }

    /// The client as others see it.
    pub(super) fn shared(&self) -> &Arc<SharedClient> {
        &self.shared
    }

    /// Whether the client may publish and subscribe.
    pub(super) fn is_authenticated(&self) -> bool {
        self.keep_alive.is_authenticated()
    }

    /// The error that has ended the conversation, if one has.
    pub(super) fn ended_for(&self) -> Option<&'static str> {
        self.ended_for
    }

    /// When it is to be tended next, in microseconds, besides the times of [`KeepAlive`].
    pub(super) fn deadline(&self) -> Option<u64> {
        self.pending.deadline()
    }

    fn facts(&self) -> &BrokerFacts {
        facts(&self.shared)
    }

    /// Says what the server has to say by itself: what it is, that it stops, that requests have waited in vain.  To be called
    /// whenever the client is woken.
    pub(super) fn tend(&mut self, executor: &mut Executor, output: &mut Buffer) -> Due {
        let services = Arc::clone(executor.services());
        let revision = services.announcement.revision();
        if !self.is_greeted || self.revision != revision {
            self.revision = revision;
            let mut publisher = executor.publisher();
            let Some(ended) = self.rights.follow(&self.shared, &mut publisher) else {
                self.facts().set_close_reason(CloseReason::Expired);
                return self.end(EXPIRED, ErrorCode::Unauthorized, output);
            };
            services.fan_out.deliver(publisher.effects);
            for ended in &ended {
                let failure = Failure::new(ErrorCode::Forbidden, rights::violation(ended).to_string());
                let id = String::from_utf8_lossy(&ended.options().id);
                self.write_error(&failure, Some(&id), output);
            }
            for id in self.follows.end_forbidden(&self.rights) {
                let failure = Failure::new(ErrorCode::Forbidden, "the stream may not be followed any more");
                self.write_error(&failure, Some(&id), output);
            }
            self.write_info(&services, output);
        }
        if !self.is_greeted {
            self.is_greeted = true;
            self.keep_alive.begin(facts(&self.shared), executor.settings());
        }
        let now = services.clock.now();
        self.rights.note_requests(&self.shared.outbox, now);
        for request in self.pending.take_overdue(now) {
            services.fan_out.unsubscribe(&request, executor.publisher().effects);
            request.silence();
            let failure = Failure::new(ErrorCode::Timeout, "no answer came in time");
            self.write_error(&failure, Some(&String::from_utf8_lossy(&request.options().id)), output);
        }
        self.follow_on(output);
        if !self.facts().is_due() {
            return Due::Nothing;
        }
        let last_active = self.shared.last_active.load(Relaxed);
        let due = self.keep_alive.look(facts(&self.shared), last_active, now, executor.settings());
        if let Due::End(text) = due {
            let code = if self.is_authenticated() { ErrorCode::Stale } else { ErrorCode::Unauthorized };
            return self.end(text, code, output);
        }
        due
    }

    /// Writes what there is to read of the streams that the client follows, as far as it has room.
    fn follow_on(&mut self, output: &mut Buffer) {
        let before = output.len();
        let Session { follows, answers, shared, .. } = self;
        follows.read_on(&shared.outbox, output, |written| answers.have_room_for(written));
        answers.add(output.len() - before);
    }

    /// Ends the conversation with an error.
    fn end(&mut self, text: &'static str, code: ErrorCode, output: &mut Buffer) -> Due {
        self.ended_for = Some(text);
        self.write_error(&Failure::new(code, text), None, output);
        Due::End(text)
    }

    fn write_info(&self, services: &Services, output: &mut Buffer) {
        let settings = services.settings.current();
        let info = Info {
            op: "info",
            server: SERVER_NAME,
            version: env!("CARGO_PKG_VERSION"),
            client: self.shared.id,
            auth_required: !self.is_authenticated(),
            max_payload: settings.broker_max_payload,
            is_stopping: services.announcement.is_ending(),
        };
        answer::write(output, &info);
    }

    fn write_error(&mut self, failure: &Failure, id: Option<&str>, output: &mut Buffer) {
        let before = output.len();
        answer::write(output, &Answer::error(failure, id));
        self.answers.add(output.len() - before);
    }

    /// Runs the operation in a frame, appends the answers to `output`, and says what becomes of the connection.
    pub(super) fn receive(&mut self, frame: &[u8], executor: &mut Executor, output: &mut Buffer) -> Flow {
        let now = executor.services().clock.now();
        self.shared.last_active.store(now.millis(), Relaxed);
        self.keep_alive.note_input();
        let mut run = Run::new(self, executor, now, output);
        let flow = run.operation(frame);
        run.finish();
        flow
    }

    /// Whether an operation waits that came and was not run.
    pub(super) fn is_behind(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// Bytes of that operation.
    pub(super) fn waiting_input(&self) -> usize {
        self.held_back.len()
    }

    /// Runs that operation, unless it has to wait longer.
    pub(super) fn resume(&mut self, executor: &mut Executor, output: &mut Buffer) -> Flow {
        let held_back = std::mem::take(&mut self.held_back);
        self.receive(&held_back, executor, output)
    }

    /// Notes that the client has answered a ping.
    pub(super) fn note_pong(&mut self, executor: &Executor) {
        self.keep_alive.note_input();
        self.keep_alive.note_pong(facts(&self.shared), executor.services().clock.now());
    }

    /// Whether the client has read enough of the answers for more of its operations to be run.
    pub(super) fn has_read(&self) -> bool {
        self.answers.are_read()
    }

    /// Notes that the client's socket has taken so many bytes, and whether those were all.
    pub(super) fn note_sent(&mut self, bytes: usize, is_all: bool) {
        let written = &self.facts().bytes_out;
        written.store(written.load(Relaxed) + bytes as u64, Relaxed);
        self.answers.note_sent(bytes, is_all, &self.shared.outbox);
        if self.follows.waits_for_room() && self.answers.are_read() {
            self.shared.outbox.wake();
        }
    }

    /// Takes messages for the client, if so many bytes are on their way before those of `buffer`.
    pub(super) fn collect_behind(&self, before: usize, buffer: &mut Buffer) {
        self.shared.outbox.collect(buffer, ROOM.saturating_sub(before));
    }

    /// Ends the client's subscriptions and requests.
    pub(super) fn close(&mut self, executor: &mut Executor) {
        self.follows.clear();
        let now = executor.services().clock.now();
        let mut publisher = executor.publisher();
        self.presence.go(&self.shared, &mut publisher, now);
        // The facts of those that have gone tell of their subscriptions.
        publisher.services.clients.disconnect(self.shared.id, now.millis());
        let fan_out = &publisher.services.fan_out;
        for ended in self.facts().take_subscriptions().into_iter().chain(self.pending.take_all()) {
            fan_out.unsubscribe(&ended, publisher.effects);
            ended.silence();
        }
        publisher.services.fan_out.deliver(publisher.effects);
    }
}
