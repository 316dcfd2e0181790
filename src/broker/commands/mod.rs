//! SUBSCRIBE, PUBLISH and their like, over channels, patterns and shard channels.

mod introspection;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::subjects::check_channel;
use crate::command::{Call, Command, Flags, Group, Handler, Replies, SessionCall};
use crate::delivery::{
    ChannelSpace, Listener, Message, Name, Subscription, SubscriptionOptions, Subscriptions, Topic,
};
use crate::glob::{Pattern, PatternTooComplex};
use crate::refusal::Refusal;

/// Subscriptions of one client.  Each takes some hundred bytes beside its name, which no other limit counts.
const CLIENT_SUBSCRIPTIONS_MAX: usize = 1_000_000;

/// Patterns of all clients together.  In the worst case all begin with a star and are tried against many channels.
const PATTERNS_MAX: usize = 100_000;

const TALK: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);
const PUBLISHING: Flags = TALK.union(Flags::FAST).union(Flags::TELLS_OTHERS);
const SUBSCRIPTION: Flags = TALK.union(Flags::NOSCRIPT).union(Flags::WHILE_SUBSCRIBED);

/// The start of each row.
const ROW: Command = Command { group: Group::PubSub, since: "2.0.0", flags: TALK, ..Command::ROW };

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "psubscribe",
        syntax: "pattern [pattern ...]",
        summary: "Listens for messages published to channels that match one or more patterns.",
        complexity: "O(N) where N is the number of patterns to subscribe to.",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| subscribe(call, &PATTERNS)),
        ..ROW
    },
    Command {
        name: "publish",
        syntax: "channel message",
        summary: "Posts a message to a channel.",
        complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total \
                     number of subscribed patterns (by any client).",
        flags: PUBLISHING,
        may_be_stored: true,
        handler: Handler::Data(|call| publish(call, ChannelSpace::Channels)),
        ..ROW
    },
    Command {
        name: "pubsub",
        summary: "A container for Pub/Sub commands.",
        complexity: "Depends on subcommand.",
        since: "2.8.0",
        flags: Flags::empty(),
        subcommands: introspection::SUBCOMMANDS,
        ..ROW
    },
    Command {
        name: "punsubscribe",
        syntax: "[pattern [pattern ...]]",
        summary: "Stops listening to messages published to channels that match one or more patterns.",
        complexity: "O(N) where N is the number of patterns to unsubscribe.",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| unsubscribe(call, &PATTERNS)),
        ..ROW
    },
    Command {
        name: "spublish",
        syntax: "shardchannel message",
        summary: "Post a message to a shard channel",
        complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        since: "7.0.0",
        flags: PUBLISHING,
        handler: Handler::Data(|call| publish(call, ChannelSpace::ShardChannels)),
        ..ROW
    },
    Command {
        name: "ssubscribe",
        syntax: "shardchannel [shardchannel ...]",
        summary: "Listens for messages published to shard channels.",
        complexity: "O(N) where N is the number of shard channels to subscribe to.",
        since: "7.0.0",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| subscribe(call, &SHARD_CHANNELS)),
        ..ROW
    },
    Command {
        name: "subscribe",
        syntax: "channel [channel ...]",
        summary: "Listens for messages published to channels.",
        complexity: "O(N) where N is the number of channels to subscribe to.",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| subscribe(call, &CHANNELS)),
        ..ROW
    },
    Command {
        name: "sunsubscribe",
        syntax: "[shardchannel [shardchannel ...]]",
        summary: "Stops listening to messages posted to shard channels.",
        complexity: "O(N) where N is the number of shard channels to unsubscribe.",
        since: "7.0.0",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| unsubscribe(call, &SHARD_CHANNELS)),
        ..ROW
    },
    Command {
        name: "unsubscribe",
        syntax: "[channel [channel ...]]",
        summary: "Stops listening to messages posted to channels.",
        complexity: "O(N) where N is the number of channels to unsubscribe.",
        flags: SUBSCRIPTION,
        handler: Handler::Session(|call| unsubscribe(call, &CHANNELS)),
        ..ROW
    },
];

/// One of the three things to subscribe to: the words of its confirmations, and where its subscriptions are kept.
struct Space {
    subscribed: &'static [u8],
    unsubscribed: &'static [u8],
    named: fn(&mut Subscriptions) -> &mut BTreeMap<Name, Arc<Subscription>>,
    /// The number in confirmations: of shard channels, or of channels and patterns together.
    count: fn(&Subscriptions) -> usize,
    channel_space: ChannelSpace,
    topic: fn(&[u8]) -> Result<Topic, PatternTooComplex>,
    are_patterns: bool,
}

const CHANNELS: Space = Space {
    subscribed: b"subscribe",
    unsubscribed: b"unsubscribe",
    named: |subscriptions| &mut subscriptions.channels,
    count: |subscriptions| subscriptions.channels.len() + subscriptions.patterns.len(),
    channel_space: ChannelSpace::Channels,
    topic: |name| Ok(Topic::exact(name)),
    are_patterns: false,
};

const PATTERNS: Space = Space {
    subscribed: b"psubscribe",
    unsubscribed: b"punsubscribe",
    named: |subscriptions| &mut subscriptions.patterns,
    topic: Topic::glob,
    are_patterns: true,
    ..CHANNELS
};

const SHARD_CHANNELS: Space = Space {
    subscribed: b"ssubscribe",
    unsubscribed: b"sunsubscribe",
    named: |subscriptions| &mut subscriptions.shard_channels,
    count: |subscriptions| subscriptions.shard_channels.len(),
    channel_space: ChannelSpace::ShardChannels,
    ..CHANNELS
};

/// Confirms each name with a message of its own, also one that was subscribed to before.
fn subscribe(call: &mut SessionCall<'_, '_>, space: &Space) -> Result<(), Refusal> {
    let wanted = call.arguments.from(1);
    if call.client.subscriptions.len() + wanted.len() > CLIENT_SUBSCRIPTIONS_MAX {
        return Err(Refusal::new(format!(
            "ERR a client may have at most {CLIENT_SUBSCRIPTIONS_MAX} subscriptions"
        )));
    }
    if space.are_patterns && call.services.fan_out.channels.glob_count() + wanted.len() > PATTERNS_MAX {
        return Err(Refusal::new(format!(
            "ERR all clients together may have at most {PATTERNS_MAX} patterns"
        )));
    }
    if space.are_patterns {
        for pattern in wanted.iter() {
            Pattern::new(pattern)?;
        }
    }
    for name in wanted.iter() {
        if !(space.named)(&mut call.client.subscriptions).contains_key(name) {
            let (topic, options) = ((space.topic)(name)?, SubscriptionOptions::default());
            let subscription = Subscription::new(topic, options, &call.client.shared.outbox);
            let added = Arc::clone(&subscription);
            call.services.fan_out.subscribe_to(space.channel_space, added, call.data.effects);
            let name = Arc::clone(subscription.topic().text());
            (space.named)(&mut call.client.subscriptions).insert(name, subscription);
        }
        confirm(call, space, space.subscribed, Some(name));
    }
    call.client.show_subscriptions();
    Ok(())
}

/// Without names ends all subscriptions of the space.
fn unsubscribe(call: &mut SessionCall<'_, '_>, space: &Space) -> Result<(), Refusal> {
    let named = call.arguments.from(1);
    if named.is_empty() {
        let ended = std::mem::take((space.named)(&mut call.client.subscriptions));
        let mut left = ended.len();
        for subscription in ended.values() {
            call.services.fan_out.unsubscribe_from(space.channel_space, subscription, call.data.effects);
            subscription.silence();
        }
        take_messages(call);
        for name in ended.keys() {
            left -= 1;
            confirm_with(
                call,
                space.unsubscribed,
                Some(name),
                (space.count)(&call.client.subscriptions) + left,
            );
        }
        if ended.is_empty() {
            confirm(call, space, space.unsubscribed, None);
        }
    } else {
        for name in named.iter() {
            if let Some(ended) = (space.named)(&mut call.client.subscriptions).remove(name) {
                call.services.fan_out.unsubscribe_from(space.channel_space, &ended, call.data.effects);
                ended.silence();
                take_messages(call);
            }
            confirm(call, space, space.unsubscribed, Some(name));
        }
    }
    call.client.show_subscriptions();
    Ok(())
}

/// Writes the messages that have come for the client, before the confirmation that no more will come.  Within EXEC's reply
/// there is no place for them.
fn take_messages(call: &mut SessionCall<'_, '_>) {
    if call.may_wait() && call.client.replies == Replies::On {
        call.data.effects.take_messages(&call.client.shared.outbox, call.data.output);
    }
}

fn confirm(call: &mut SessionCall<'_, '_>, space: &Space, word: &[u8], name: Option<&[u8]>) {
    confirm_with(call, word, name, (space.count)(&call.client.subscriptions));
}

fn confirm_with(call: &mut SessionCall<'_, '_>, word: &[u8], name: Option<&[u8]>, count: usize) {
    call.output.push(3);
    call.output.bulk(word);
    match name {
        Some(name) => call.output.bulk(name),
        None => call.output.null(),
    }
    call.output.integer(count as i64);
}

/// Answers with the number of receivers, on every listener.  A stream that cannot store the message is named by an error, though
/// the receivers have it: else it would be lost in silence.
fn publish(call: &mut Call<'_, '_>, space: ChannelSpace) -> Result<(), Refusal> {
    let (channel, payload) = (call.arguments.at(1), call.arguments.at(2));
    // Other listeners have no way to shard channels.
    if space == ChannelSpace::Channels {
        check_channel(channel).map_err(|refused| Refusal::new(format!("NOPERM {refused}")))?;
    }
    let (sender, listener) = (call.caller.connection, Listener::Resp);
    let message = Message { space, sender, listener, ..Message::new(channel, payload) };
    drop(call.effects.take_refused());
    let receivers = call.services.fan_out.publish(&message, call.effects);
    call.caller.has_own_message |= receivers.has_sender;
    if let Some(reason) = call.effects.take_refused() {
        return Err(Refusal::new(format!("NOTSTORED {reason}; {} subscribers have it", receivers.count)));
    }
    call.output.integer(receivers.count as i64);
    Ok(())
}
