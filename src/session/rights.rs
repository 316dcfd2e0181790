//! What one client of the broker may do: who it is, and the requests that it may answer.

use std::sync::Arc;

use super::facts;
use crate::access::{OpenRequests, Violation};
use crate::broker::authentication::Identity;
use crate::client::SharedClient;
use crate::clock::Now;
use crate::command::executor::Publisher;
use crate::delivery::{Outbox, Subscription};

/// The error for a client whose user is gone or has another password, as clients know it.
pub(super) const EXPIRED: &str = "User Authentication Expired";

/// What a client is told of a subscription that has ended since it may not have it any more.
pub(super) fn violation(ended: &Subscription) -> Violation<'_> {
    Violation::Subscription { pattern: ended.topic().text(), group: ended.options().group.as_deref() }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Rights {
    identity: Identity,
    /// The requests that its user may answer without further permission; none if it may answer none.
    open_requests: Option<Box<OpenRequests>>,
}

impl Rights {
    /// The name of the client's user.
    pub(super) fn user(&self) -> &str {
        self.identity.name()
    }

    /// Makes the client another user.
    pub(super) fn take_on(&mut self, identity: Identity, outbox: &Outbox) {
        let responses = identity.permissions().and_then(|permissions| permissions.responses);
        self.open_requests = responses.map(|allowed| Box::new(OpenRequests::new(allowed)));
        outbox.note_requests(self.open_requests.is_some());
        self.identity = identity;
    }

    /// Follows a change of the settings.  Returns the subscriptions that have ended, as [`Rights::change_user`] does; none if
    /// the client's user is gone or has another password.
    pub(super) fn follow(
        &mut self,
        client: &SharedClient,
        publisher: &mut Publisher<'_>,
    ) -> Option<Vec<Arc<Subscription>>> {
        let identity = self.identity.renewed(publisher.settings)?;
        if identity == self.identity {
            return Some(Vec::new());
        }
        Some(self.change_user(identity, client, publisher))
    }

    /// Makes the client another user.  Ends the subscriptions that it may not have any more, and returns them.
    pub(super) fn change_user(
        &mut self,
        identity: Identity,
        client: &SharedClient,
        publisher: &mut Publisher<'_>,
    ) -> Vec<Arc<Subscription>> {
        self.take_on(identity, &client.outbox);
        let facts = facts(client);
        let may_have = |subscription: &Subscription| {
            self.may_subscribe(subscription.topic().text(), subscription.options().group.as_deref())
        };
        let ended: Vec<_> =
            facts.subscriptions().into_iter().filter(|subscription| !may_have(subscription)).collect();
        for subscription in &ended {
            facts.remove_subscription(&subscription.options().id);
            publisher.services.fan_out.unsubscribe(subscription, publisher.effects);
            subscription.silence();
        }
        ended
    }

    /// Whether the client may answer requests without further permission.
    pub(super) fn has_requests(&self) -> bool {
        self.open_requests.is_some()
    }

    /// Takes in the requests that were delivered to the client: to be called whenever it is sent messages.
    #[inline]
    pub(super) fn note_requests(&mut self, outbox: &Outbox, now: Now) {
        if let Some(open) = &mut self.open_requests {
            outbox.take_requests().iter().for_each(|reply| open.remember(reply, now));
        }
    }

    /// Whether the client may publish on a subject.  An answer to a request uses up one of those that it may give.
    #[inline]
    pub(super) fn may_publish(&mut self, subject: &[u8], outbox: &Outbox, now: Now) -> bool {
        let Some(permissions) = self.identity.permissions() else { return true };
        if permissions.may_publish(subject) {
            return true;
        }
        self.note_requests(outbox, now);
        self.open_requests.as_mut().is_some_and(|open| open.take(subject, now))
    }

    /// Whether the client may subscribe to a pattern.
    pub(super) fn may_subscribe(&self, pattern: &[u8], group: Option<&[u8]>) -> bool {
        self.identity.permissions().is_none_or(|permissions| permissions.may_subscribe(pattern, group))
    }
}
