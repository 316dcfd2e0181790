//! The way of a message to everybody who wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::stream::Streams;
use super::{ChannelSpace, Effects, Interest, Message, Subscription, Subscriptions};
use crate::settings::Settings;

/// See the module's text.
#[derive(Default)]
pub struct FanOut {
    /// Subjects of the broker, which are the channels of RESP, with wildcards and globs.
    pub channels: Interest,
    /// Shard channels, a space of their own; without a cluster they are ordinary channels without patterns.
    pub shard_channels: Interest,
    /// The bounds of what waits for receivers.
    pub(super) limits: Limits,
    /// The common bounds of all streams of events.
    pub(super) streams: Arc<Streams>,
}

/// The bounds of what waits for receivers, as the settings say.  0 is no limit.
#[derive(Default)]
pub(super) struct Limits {
    /// Bytes for one RESP subscriber.
    pub(super) pubsub: AtomicUsize,
}

/// The receivers of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receivers {
    /// Their number: every subscription that got the message.
    pub count: usize,
    /// Whether its sender is one of them.
    pub has_sender: bool,
}

impl FanOut {
    /// Follows the settings that bound what waits for receivers.
    pub fn follow_settings(&self, settings: &Settings) {
        self.limits.pubsub.store(settings.client_output_buffer_limit.pubsub.hard, Relaxed);
    }

    /// Sends a message to everybody who wants its subject, and to one member of each queue group that does.  A receiver that
    /// has fallen too far behind meets its policy instead.
    pub fn publish(&self, message: &Message<'_>, effects: &mut Effects) -> Receivers {
        let interest = self.interest(message.space);
        let mut receivers = Receivers::default();
        if !interest.has_subscribers() {
            return receivers;
        }
        // Nothing that is sent looks a subject up.
        let mut lookups = std::mem::take(&mut effects.lookups);
        let mut spent = Vec::new();
        let mut send = |subscription: &Arc<Subscription>| {
            if !effects.send_message(message, subscription, &self.limits) {
                return false;
            }
            receivers.count += 1;
            receivers.has_sender |= message.sender == Some(subscription.outbox().id());
            if subscription.is_spent() {
                spent.push(Arc::clone(subscription));
            }
            true
        };
        let (matches, turns) = lookups.find(message.space, interest, message.subject);
        matches.each.iter().for_each(|subscription| {
            send(subscription);
        });
        for group in &matches.groups {
            // A member that does not take the message is passed over.
            let (before, from_first) = group.members.split_at(turns.next(group.members.len()));
            from_first.iter().chain(before).any(&mut send);
        }
        lookups.release();
        effects.lookups = lookups;
        spent.iter().for_each(|spent| interest.unsubscribe(spent));
        receivers
    }

    /// Ends the subscriptions of a RESP client.
    pub fn unsubscribe_all(&self, subscriptions: &Subscriptions) {
        let Subscriptions { channels, patterns, shard_channels } = subscriptions;
        channels.values().chain(patterns.values()).for_each(|ended| self.channels.unsubscribe(ended));
        shard_channels.values().for_each(|ended| self.shard_channels.unsubscribe(ended));
    }

    fn interest(&self, space: ChannelSpace) -> &Interest {
        match space {
            ChannelSpace::Channels => &self.channels,
            ChannelSpace::ShardChannels => &self.shard_channels,
        }
    }
}
