//! SUB and UNSUB.

use std::sync::Arc;

use quartet_protocol::broker::{subject, write};

use super::run::Run;
use crate::access::Violation;
use crate::client::BrokerOptions;
use crate::delivery::{Subscription, SubscriptionOptions, Topic};

impl Run<'_> {
    pub(super) fn subscribe(&mut self, pattern: &[u8], group: Option<&[u8]>, id: &[u8]) {
        if !self.session.rights.may_subscribe(pattern, group) {
            return self.refuse_violation(Violation::Subscription { pattern, group });
        }
        let facts = self.session.facts();
        let most = self.publisher.settings.broker_max_subscriptions;
        if most > 0 && facts.has_subscriptions(most) {
            return self.answer(|output| write::error(output, "maximum subscriptions exceeded"));
        }
        if facts.subscription(id).is_some() {
            return self.acknowledge();
        }
        if !subject::is_valid_pattern(pattern) {
            return self.answer(|output| write::error(output, "Invalid Subject"));
        }
        let options = SubscriptionOptions {
            group: group.map(Into::into),
            id: id.into(),
            echo: self.options.contains(BrokerOptions::ECHO),
            sees_hidden: true,
            ..SubscriptionOptions::default()
        };
        let subscription =
            Subscription::new(Topic::of_pattern(pattern), options, &self.session.shared.outbox);
        facts.add_subscription(Arc::clone(&subscription));
        self.publisher.services.fan_out.subscribe(subscription, self.publisher.effects);
        self.acknowledge();
    }

    pub(super) fn unsubscribe(&mut self, id: &[u8], maximum: Option<u64>) {
        let facts = self.session.facts();
        match (maximum, facts.subscription(id)) {
            (Some(maximum), Some(subscription))
                if !subscription.end_after(maximum, self.publisher.effects) =>
            {
                facts.note_limited(subscription);
            }
            _ => {
                if let Some(ended) = facts.remove_subscription(id) {
                    if std::mem::take(&mut self.has_own_message) {
                        // What the client has published before still comes.
                        self.publisher.effects.hand_over();
                    }
                    self.publisher.services.fan_out.unsubscribe(&ended, self.publisher.effects);
                    ended.silence();
                }
            }
        }
        self.acknowledge();
    }
}
