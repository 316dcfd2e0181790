//! All channels, and the way of a message to their subscribers.

use std::sync::Arc;

use super::encoding::Encoded;
use super::stream::Streams;
use super::{Effects, Outbox, Router, Subscriber, Subscriptions};
use crate::settings::OutputLimit;

/// See the module's text.
#[derive(Default)]
pub struct FanOut {
    /// Channels and patterns.
    pub channels: Router,
    /// Shard channels, a space of their own; without a cluster they are ordinary channels without patterns.
    pub shard_channels: Router,
    /// The common bounds of all streams of events.
    pub(super) streams: Arc<Streams>,
}

/// Which of the two spaces a channel is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelSpace {
    /// The channels of PUBLISH, to which patterns apply.
    Channels,
    /// The channels of SPUBLISH.
    ShardChannels,
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// The space of its channel.
    pub space: ChannelSpace,
    /// The channel it is published on.
    pub channel: &'m [u8],
    /// Its content.
    pub payload: &'m [u8],
    /// The kind of event, if a service publishes it; the payload is JSON then.  None if a client publishes it.
    pub kind: Option<&'m str>,
    /// The number of the client that publishes it, if one does.
    pub sender: Option<u64>,
}

/// The receivers of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receivers {
    /// Their number.  A client counts once if it is subscribed to the channel, and once for each of its patterns that
    /// matches the channel.
    pub count: usize,
    /// Whether its sender is one of them.
    pub has_sender: bool,
}

impl FanOut {
    /// Puts a message into the outboxes of its channel's subscribers.  One whose outbox would exceed `limit` is cut off.
    pub fn publish(&self, message: &Message<'_>, limit: OutputLimit, effects: &mut Effects) -> Receivers {
        let router = match message.space {
            ChannelSpace::Channels => &self.channels,
            ChannelSpace::ShardChannels => &self.shard_channels,
        };
        let (mut encoded, mut receivers) = (Encoded::new(message), Receivers::default());
        router.deliver(message.channel, |subscriber, pattern| {
            let outbox = &subscriber.outbox;
            let Some(form) = encoded.form(outbox.encoding(), pattern) else { return false };
            let is_sent = effects.send(outbox, form, limit);
            if is_sent {
                receivers.count += 1;
                receivers.has_sender |= message.sender == Some(outbox.id());
            }
            is_sent
        });
        receivers
    }

    /// Ends the subscriptions of a client.
    pub fn unsubscribe_all(&self, subscriptions: &Subscriptions, outbox: &Arc<Outbox>) {
        let subscriber = Subscriber::new(outbox);
        for channel in &subscriptions.channels {
            self.channels.unsubscribe(channel, &subscriber);
        }
        for pattern in &subscriptions.patterns {
            self.channels.unsubscribe_pattern(pattern, &subscriber);
        }
        for channel in &subscriptions.shard_channels {
            self.shard_channels.unsubscribe(channel, &subscriber);
        }
    }
}
