//! The operations.

use std::sync::Arc;

use quartet_protocol::broker::subject;
use quartet_protocol::buffer::Buffer;
use serde::Serialize;

use super::answer::{Answer, ErrorCode, Failure, write};
use super::pending::REQUESTS_MAX;
use super::request::Request;
use super::{Session, facts, rights};
use crate::access::{DEFAULT_USER, Login, Violation, is_reserved_reply};
use crate::broker::authentication::{self, Credentials};
use crate::broker::subjects::{SubjectRefused, check_reply, check_subject, new_inbox};
use crate::client::{BrokerOptions, CloseReason};
use crate::clock::Now;
use crate::command::Flow;
use crate::command::executor::{Executor, Publisher};
use crate::delivery::{Message, Receivers, Subscription, SubscriptionOptions, Topic};

/// Milliseconds that a request waits by default, and at most.
const TIMEOUT: u64 = 5_000;
const TIMEOUT_MAX: u64 = 300_000;

/// The operations by their names.
const OPERATIONS: &[(&str, Handler)] = &[
    ("connect", |run, request, id| run.connect(request, id)),
    ("subscribe", |run, request, id| run.subscribe(request, id)),
    ("follow", |run, request, id| run.follow(request, id)),
    ("unsubscribe", |run, request, id| run.unsubscribe(request, id)),
    ("publish", |run, request, id| run.publish(request, id)),
    ("request", |run, request, id| run.request(request, id)),
    ("ack", |run, request, id| run.acknowledge_gap(request, id)),
    ("ping", |run, request, id| run.ping(request, id)),
];

/// Runs an operation.  `id` is that of the object.
type Handler = fn(&mut Run<'_>, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure>;

/// What an operation works with.
pub(super) struct Run<'r> {
    pub(super) session: &'r mut Session,
    pub(super) publisher: Publisher<'r>,
    now: Now,
    output: &'r mut Buffer,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        session: &'r mut Session,
        executor: &'r mut Executor,
        now: Now,
        output: &'r mut Buffer,
    ) -> Run<'r> {
        let publisher = executor.publisher();
        Run { session, publisher, now, output }
    }

    /// Runs the operation in a frame.
    pub(super) fn operation(&mut self, frame: &[u8]) -> Flow {
        let (mut id, result) = (None, Request::parse(frame));
        let result = result.and_then(|mut request| {
            id = request.take_id()?;
            if self.has_to_wait(&request) {
                self.session.held_back = frame.to_vec();
                return Ok(());
            }
            self.dispatch(&request, id.as_deref())
        });
        let Err(failure) = result else { return Flow::Continue };
        self.answer(&Answer::error(&failure, id.as_deref()));
        if failure.code != ErrorCode::Unauthorized {
            return Flow::Continue;
        }
        self.session.ended_for = Some("Authorization Violation");
        self.session.facts().set_close_reason(CloseReason::Unauthenticated);
        Flow::Close
    }

    /// Whether it publishes to a stream that has to write first what it has.
    fn has_to_wait(&mut self, request: &Request<'_>) -> bool {
        let Publisher { services, effects, .. } = &mut self.publisher;
        services.streams.are_crowded()
            && self.session.is_authenticated()
            && matches!(request.op.as_deref(), Some("publish" | "request"))
            && request.subject.as_deref().is_some_and(|subject| {
                check_subject(subject.as_bytes()).is_ok()
                    && services.fan_out.has_to_wait(subject.as_bytes(), effects)
            })
    }

    fn dispatch(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let name = request.op.as_deref().unwrap_or_default();
        let Some((name, handler)) = OPERATIONS.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
            let message = format!("op: one of {}", names.join(", "));
            return Err(Failure::new(ErrorCode::UnknownOperation, message));
        };
        if !self.session.is_authenticated() && *name != "connect" {
            let message = r#"give the password first: {"op":"connect","pass":"..."}"#;
            return Err(Failure::new(ErrorCode::Unauthorized, message));
        }
        handler(self, request, id)
    }

    /// Writes an answer, behind the messages that wait for the client.
    pub(super) fn answer(&mut self, answer: &Answer<'_>) {
        self.tell(answer);
    }

    /// The same for any object.
    pub(super) fn tell(&mut self, answer: &impl Serialize) {
        self.publisher.effects.hand_over();
        let Session { answers, shared, .. } = &mut *self.session;
        answers.write(&shared.outbox, &mut self.publisher, self.output, |output| write(output, answer));
    }

    /// Delivers the effects and adds the numbers up.
    pub(super) fn finish(mut self) {
        let Session { presence, shared, keep_alive, .. } = &mut *self.session;
        if keep_alive.is_authenticated() {
            presence.come(shared, &mut self.publisher, self.now);
        }
        let Publisher { services, effects, .. } = self.publisher;
        facts(shared).count_published(effects.published(shared.door.listener()));
        services.fan_out.deliver(effects);
        self.session.collect_behind(0, self.output);
    }

    /// The given id, or else a number that no subscription and no request has.
    pub(super) fn free_id(&mut self, given: Option<&str>) -> Result<String, Failure> {
        let is_taken = |session: &Session, id: &str| {
            session.facts().subscription(id.as_bytes()).is_some()
                || session.pending.has(id.as_bytes())
                || session.follows.has(id)
        };
        if let Some(id) = given {
            return match is_taken(self.session, id) {
                true => Err(Failure::new(ErrorCode::IdInUse, format!("id: {id} is in use"))),
                false => Ok(id.to_owned()),
            };
        }
        loop {
            self.session.last_id += 1;
            let id = self.session.last_id.to_string();
            if !is_taken(self.session, &id) {
                return Ok(id);
            }
        }
    }
}

/// The conversation itself.
impl Run<'_> {
    fn connect(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let credentials = Credentials {
            user: request.user.as_deref(),
            password: request.pass.as_deref(),
            token: request.token.as_deref(),
        };
        // Whoever is in already need not give a password again, but may become another.
        if !self.session.is_authenticated() || !credentials.are_empty() {
            let Publisher { services, settings, .. } = &self.publisher;
            let address = self.session.shared.outbox.address().ip();
            let login = Login { attempts: &services.attempts, address, now: self.now };
            let identity = authentication::authenticate(settings, login, credentials)
                .map_err(|_| Failure::new(ErrorCode::Unauthorized, "the user or the password is wrong"))?;
            let Session { rights, shared, keep_alive, .. } = &mut *self.session;
            let ended = rights.change_user(identity, shared, &mut self.publisher);
            keep_alive.note_authenticated();
            for ended in &ended {
                let id = String::from_utf8_lossy(&ended.options().id);
                self.answer(&Answer::error(&violation(&rights::violation(ended)), Some(&id)));
            }
            let Session { rights, follows, .. } = &mut *self.session;
            for id in follows.end_forbidden(rights) {
                let failure = Failure::new(ErrorCode::Forbidden, "the stream may not be followed any more");
                self.answer(&Answer::error(&failure, Some(&id)));
            }
        }
        let facts = facts(&self.session.shared);
        let mut options = facts.options();
        options.set(BrokerOptions::ECHO, request.echo.unwrap_or(options.contains(BrokerOptions::ECHO)));
        facts.set_options(options);
        let user = self.session.rights.user();
        self.session.shared.identify(|identity| {
            if let Some(name) = &request.name {
                identity.name.clone_from(name);
            }
            identity.user = if user == DEFAULT_USER { String::new() } else { user.to_owned() };
        });
        self.answer(&Answer::new("connected", id));
        Ok(())
    }

    fn ping(&mut self, _request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        self.answer(&Answer::new("pong", id));
        Ok(())
    }
}

/// Subscribing.
impl Run<'_> {
    fn subscribe(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let pattern = request.needed_subject()?;
        if !subject::is_valid_pattern(pattern.as_bytes()) {
            let message = "subject: tokens between full stops, without blanks; `*` stands for one token and `>` for \
                           the rest";
            return Err(Failure::new(ErrorCode::InvalidField, message));
        }
        let group = request.group.as_deref();
        if group.is_some_and(|group| !subject::is_valid_subject(group.as_bytes())) {
            return Err(Failure::new(ErrorCode::InvalidField, "group: a name without blanks"));
        }
        self.check_line(&[pattern, group.unwrap_or_default()])?;
        let group = group.map(str::as_bytes);
        if !self.session.rights.may_subscribe(pattern.as_bytes(), group) {
            return Err(violation(&Violation::Subscription { pattern: pattern.as_bytes(), group }));
        }
        let slow_consumer = request.slow_consumer()?;
        let facts = facts(&self.session.shared);
        let most = self.publisher.settings.broker_max_subscriptions;
        if most > 0 && facts.has_subscriptions(most) {
            let message = format!("the setting broker-max-subscriptions allows {most} subscriptions");
            return Err(Failure::new(ErrorCode::TooMany, message));
        }
        let id = self.free_id(id)?;
        let options = SubscriptionOptions {
            group: group.map(Into::into),
            id: id.as_bytes().into(),
            echo: self.session.facts().options().contains(BrokerOptions::ECHO),
            slow_consumer,
            ..SubscriptionOptions::default()
        };
        let topic = Topic::of_pattern(pattern.as_bytes());
        let subscription = Subscription::new(topic, options, &self.session.shared.outbox);
        self.session.acknowledged.remove(id.as_bytes());
        self.session.facts().add_subscription(Arc::clone(&subscription));
        if let Some(max) = request.max {
            subscription.end_after(max.max(1), self.publisher.effects);
            self.session.facts().note_limited(Arc::clone(&subscription));
        }
        self.publisher.services.fan_out.subscribe(subscription, self.publisher.effects);
        self.answer(&Answer { subject: Some(pattern), ..Answer::new("subscribed", Some(&id)) });
        Ok(())
    }

    fn unsubscribe(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        if let Some(id) = id.filter(|id| self.session.follows.end(id)) {
            self.answer(&Answer::new("unsubscribed", Some(id)));
            return Ok(());
        }
        let (id, subscription) = self.subscription(id)?;
        let facts = facts(&self.session.shared);
        match request.max {
            Some(max) if !subscription.end_after(max, self.publisher.effects) => {
                facts.note_limited(subscription)
            }
            _ => {
                if let Some(ended) = facts.remove_subscription(id.as_bytes()) {
                    // What the client has published before still comes.
                    self.publisher.effects.hand_over();
                    self.publisher.services.fan_out.unsubscribe(&ended, self.publisher.effects);
                    ended.silence();
                }
                self.session.acknowledged.remove(id.as_bytes());
            }
        }
        self.answer(&Answer::new("unsubscribed", Some(id)));
        Ok(())
    }

    /// The client has noted what a subscription has missed: tells the number of messages since it was last asked.
    fn acknowledge_gap(&mut self, _request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let (id, subscription) = self.subscription(id)?;
        let missed = subscription.missed();
        let before = self.session.acknowledged.get(id.as_bytes()).copied().unwrap_or_default();
        // Most have missed nothing, and those that end by themselves leave what is noted of them behind.
        if missed > before {
            self.session.acknowledged.insert(id.as_bytes().into(), missed);
        }
        self.answer(&Answer { missed: Some(missed - before), ..Answer::new("acked", Some(id)) });
        Ok(())
    }

    /// The subscription with this id, which must be there.
    fn subscription<'i>(&self, id: Option<&'i str>) -> Result<(&'i str, Arc<Subscription>), Failure> {
        let Some(id) = id else {
            return Err(Failure::new(
                ErrorCode::InvalidField,
                "id: that of a subscription; it must be there",
            ));
        };
        let found = self.session.facts().subscription(id.as_bytes());
        found.map(|found| (id, found)).ok_or_else(|| {
            Failure::new(ErrorCode::NoSuchSubscription, format!("id: {id} is no subscription of yours"))
        })
    }
}

/// Publishing.
impl Run<'_> {
    fn publish(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let reply = request.reply.as_deref().unwrap_or_default();
        if !reply.is_empty() {
            check_reply(reply.as_bytes()).map_err(|refused| refusal("reply", refused))?;
            if is_reserved_reply(reply.as_bytes()) {
                return Err(violation(&Violation::Reply(reply.as_bytes())));
            }
        }
        let receivers = self.send(request, reply)?;
        if request.ack {
            self.answer(&Answer { receivers: Some(receivers.count), ..Answer::new("published", id) });
        }
        Ok(())
    }

    fn request(&mut self, request: &Request<'_>, id: Option<&str>) -> Result<(), Failure> {
        let timeout = request.timeout_ms.unwrap_or(TIMEOUT);
        if !(1..=TIMEOUT_MAX).contains(&timeout) {
            let message = format!("timeout_ms: a number from 1 to {TIMEOUT_MAX}");
            return Err(Failure::new(ErrorCode::InvalidField, message));
        }
        if request.reply.is_some() {
            let message =
                "reply: a request has its own; use publish with reply to have the answers sent elsewhere";
            return Err(Failure::new(ErrorCode::InvalidField, message));
        }
        let id = self.free_id(id)?;
        if !self.session.pending.has_room() {
            let message = format!("{REQUESTS_MAX} requests wait for answers already");
            return Err(Failure::new(ErrorCode::TooMany, message));
        }
        let inbox = new_inbox().map_err(|error| {
            tracing::error!(%error, "the system has no random bytes");
            Failure::new(ErrorCode::Internal, "the server has no random bytes")
        })?;
        let options =
            SubscriptionOptions { id: id.as_bytes().into(), answers: true, ..SubscriptionOptions::default() };
        let answer = Subscription::new(Topic::exact(inbox.as_bytes()), options, &self.session.shared.outbox);
        answer.end_after(1, self.publisher.effects);
        let services = Arc::clone(self.publisher.services);
        services.fan_out.subscribe(Arc::clone(&answer), self.publisher.effects);
        let sent = self.send(request, &inbox).and_then(|receivers| match receivers.are_none() {
            true => {
                let message = "nobody is subscribed to the subject";
                Err(Failure::new(ErrorCode::NoResponders, message))
            }
            false => Ok(()),
        });
        match sent {
            Ok(()) => self.session.pending.add(self.now.micros() + timeout * 1000, answer),
            Err(_) => services.fan_out.unsubscribe(&answer, self.publisher.effects),
        }
        sent
    }

    /// Sends the message of a publication or a request.
    fn send(&mut self, request: &Request<'_>, reply: &str) -> Result<Receivers, Failure> {
        let subject = request.needed_subject()?;
        check_subject(subject.as_bytes()).map_err(|refused| refusal("subject", refused))?;
        self.check_line(&[subject, reply])?;
        if !self.session.rights.may_publish(subject.as_bytes(), &self.session.shared.outbox, self.now) {
            return Err(violation(&Violation::Publish(subject.as_bytes())));
        }
        let (headers, payload) = (request.header_block()?, request.payload()?);
        let (length, most) = (headers.len() + payload.len(), self.publisher.settings.broker_max_payload);
        if length > most {
            let message = format!(
                "headers and payload have {length} bytes; the setting broker-max-payload allows {most}"
            );
            return Err(Failure::new(ErrorCode::TooLarge, message));
        }
        let message = Message {
            reply: reply.as_bytes(),
            headers: &headers,
            sender: Some(self.session.shared.id),
            listener: self.session.shared.door.listener(),
            ..Message::new(subject.as_bytes(), &payload)
        };
        let receivers = self.publisher.services.fan_out.publish(&message, self.publisher.effects);
        Ok(receivers)
    }

    /// Checks that these words would fit into a line of the broker's protocol.
    fn check_line(&self, words: &[&str]) -> Result<(), Failure> {
        let most = self.publisher.settings.broker_max_control_line;
        if words.iter().map(|word| word.len()).sum::<usize>() <= most {
            return Ok(());
        }
        let message = format!("subject: with its group or reply subject at most {most} bytes");
        Err(Failure::new(ErrorCode::InvalidField, message))
    }
}

fn refusal(field: &str, refused: SubjectRefused) -> Failure {
    let code = match refused {
        SubjectRefused::Invalid => ErrorCode::InvalidField,
        SubjectRefused::Hidden => ErrorCode::Forbidden,
    };
    Failure::new(code, format!("{field}: {refused}"))
}

pub(super) fn violation(violation: &Violation<'_>) -> Failure {
    Failure::new(ErrorCode::Forbidden, violation.to_string())
}
