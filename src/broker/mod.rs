//! The broker: who has subscribed to what, and how a message reaches them.
//!
//! A message goes to those who are subscribed when it is published and is kept for nobody.  Messages of one channel
//! reach all its subscribers in one order, each client gets its own replies and its messages in the order of the
//! events, and a subscriber too slow for its output limit is cut off while nobody waits for it.

pub mod commands;
mod frames;
pub mod router;
mod service;
mod subscriptions;

use std::sync::Arc;

use bytes::Bytes;

use crate::client::SharedClient;
use frames::Frames;
use router::Router;

pub use service::SERVICE;
pub use subscriptions::Subscriptions;

/// What all threads share of the broker.
#[derive(Default)]
pub struct Broker {
    /// Channels and patterns.
    pub channels: Router,
    /// Shard channels, a space of their own; without a cluster they are ordinary channels without patterns.
    pub shard_channels: Router,
}

/// Which of the two spaces a channel is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelSpace {
    /// Those of PUBLISH, to which patterns apply.
    Channels,
    /// Those of SPUBLISH.
    ShardChannels,
}

impl Broker {
    /// Gives a message to `send` for each receiver of a channel, in the form it receives it.
    pub fn publish(
        &self,
        space: ChannelSpace,
        channel: &[u8],
        payload: &[u8],
        mut send: impl FnMut(&Arc<SharedClient>, Bytes),
    ) {
        let (router, kind) = match space {
            ChannelSpace::Channels => (&self.channels, "message"),
            ChannelSpace::ShardChannels => (&self.shard_channels, "smessage"),
        };
        let mut frames = Frames::new(kind, channel, payload);
        router.deliver(channel, |client, pattern| send(client, frames.frame(client, pattern)));
    }

    /// Ends all subscriptions of a client.
    pub fn forget(&self, client: &Arc<SharedClient>, subscriptions: Subscriptions) {
        for channel in &subscriptions.channels {
            self.channels.unsubscribe(channel, client);
        }
        for pattern in &subscriptions.patterns {
            self.channels.unsubscribe_pattern(pattern, client);
        }
        for channel in &subscriptions.shard_channels {
            self.shard_channels.unsubscribe(channel, client);
        }
    }
}
