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
        let matches = interest.find(message.subject);
        let mut receivers = Receivers::default();
        let mut send = |subscription: &Arc<Subscription>| {
            let is_sent = effects.send_message(message, subscription, &self.limits);
            if is_sent {
                receivers.count += 1;
                receivers.has_sender |= message.sender == Some(subscription.outbox().id());
            }
            is_sent
        };
        for subscription in &matches.each {
            send(subscription);
        }
        for (_, members) in &matches.groups {
            let first = effects_turn(members.len());
            let (before, from_first) = members.split_at(first);
            from_first.iter().chain(before).any(&mut send);
        }
        for subscription in matches.each.iter().chain(matches.groups.iter().flat_map(|(_, members)| members))
        {
            if subscription.is_spent() {
                interest.unsubscribe(subscription);
            }
        }
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

/// The place of the member whose turn it is among so many.
fn effects_turn(members: usize) -> usize {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    TURN.fetch_add(1, Relaxed) % members.max(1)
}
