//! CONNECT and PING: who the client is, and the INFO that it gets once both are done.

use std::sync::Arc;

use quartet_protocol::broker::write;

use super::Stage;
use super::connect::Connect;
use super::info::{self, Occasion};
use super::run::Run;
use crate::access::{DEFAULT_USER, Login};
use crate::broker::authentication::{self, Credentials};
use crate::client::{BrokerOptions, CloseReason};
use crate::command::Flow;
use crate::command::executor::Publisher;
use crate::delivery::Encoding;

impl Run<'_> {
    pub(super) fn ping(&mut self) {
        self.answer(write::pong);
        if self.session.stage == Stage::Connected {
            self.session.stage = Stage::Answered;
            if self.options.contains(BrokerOptions::TAKES_INFO) {
                self.answer_info(Occasion::Connected);
            }
        }
    }

    fn answer_info(&mut self, occasion: Occasion) {
        let (id, addresses) = (self.session.shared.id, self.session.addresses());
        let services = Arc::clone(self.publisher.services);
        self.answer(|output| info::write(output, &services, occasion, id, addresses));
    }

    pub(super) fn connect(&mut self, json: &[u8]) -> Flow {
        let Some(connect) = Connect::parse(json, self.options) else {
            return self.close(CloseReason::ProtocolViolation);
        };
        if connect.protocol.is_some_and(|version| !(0..=1).contains(&version)) {
            return self.refuse(CloseReason::UnknownVersion, "invalid client protocol");
        }
        if !self.authenticate(&connect) {
            return self.refuse(CloseReason::Unauthenticated, "Authorization Violation");
        }
        let options = connect.options;
        if options.contains(BrokerOptions::NO_RESPONDERS) && !options.contains(BrokerOptions::HEADERS) {
            let text = "no responders requires headers support";
            return self.refuse(CloseReason::NoHeaders, text);
        }
        if self.session.stage >= Stage::Connected {
            self.end_subscriptions();
        }
        self.options = options;
        self.take_over(connect);
        self.tell_connected();
        self.acknowledge();
        Flow::Continue
    }

    /// Ends all subscriptions, as nats-server does at a second CONNECT: who made them may have been another user.
    fn end_subscriptions(&mut self) {
        self.publisher.effects.hand_over();
        let fan_out = &self.publisher.services.fan_out;
        for ended in self.session.facts().take_subscriptions() {
            fan_out.unsubscribe(&ended, self.publisher.effects);
            ended.silence();
        }
    }

    /// Whether the client may come in, as whom it says.  One that is in already may become another.
    fn authenticate(&mut self, connect: &Connect) -> bool {
        let Publisher { services, settings, .. } = &self.publisher;
        let address = self.session.shared.outbox.address().ip();
        let login = Login { attempts: &services.attempts, address, now: self.now };
        let credentials = Credentials {
            user: connect.user.as_deref(),
            password: connect.password.as_deref(),
            token: connect.token.as_deref(),
        };
        if self.session.is_authenticated() && credentials.are_empty() {
            // It has given its password before, perhaps in the handshake of its WebSocket.
            return true;
        }
        match authentication::authenticate(settings, login, credentials) {
            Ok(identity) => self.session.rights.take_on(identity, &self.session.shared.outbox),
            Err(_) => return false,
        }
        true
    }

    /// Notes what the client has said, for itself and for others to see.
    fn take_over(&mut self, connect: Connect) {
        let session = &mut *self.session;
        session.keep_alive.note_authenticated();
        session.stage = session.stage.max(Stage::Connected);
        let has_headers = self.options.contains(BrokerOptions::HEADERS);
        let encoding = if has_headers { Encoding::Frames } else { Encoding::FramesWithoutHeaders };
        session.shared.outbox.set_encoding(encoding);
        session.facts().set_options(self.options);
        if let Some(policy) = connect.slow_consumer {
            session.shared.outbox.set_policy(Some(policy));
            session.facts().set_slow_consumer(policy);
        }
        session.shared.identify(|identity| {
            let facts = [
                (&mut identity.name, connect.name),
                (&mut identity.library_name, connect.language),
                (&mut identity.library_version, connect.version),
            ];
            for (fact, said) in facts {
                if let Some(said) = said {
                    *fact = said;
                }
            }
            let user = session.rights.user();
            identity.user = if user == DEFAULT_USER { String::new() } else { user.to_owned() };
        });
    }
}
