//! PUBSUB: the channels in use and the numbers of their subscribers.

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::delivery::Interest;
use crate::refusal::Refusal;

const LOOK: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);

/// The start of each row.
const ROW: Command = Command { group: Group::PubSub, since: "2.8.0", flags: LOOK, ..Command::ROW };

/// The rows.
pub(super) const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "channels",
        syntax: "[pattern]",
        summary: "Returns the active channels.",
        complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching \
                     (relatively short channels and patterns)",
        handler: Handler::Data(|call| channels(call, &call.services.fan_out.channels)),
        ..ROW
    },
    Command {
        name: "help",
        summary: "Returns helpful text about the different subcommands.",
        since: "6.2.0",
        flags: Flags::LOADING.union(Flags::STALE),
        handler: Handler::Data(help),
        ..ROW
    },
    Command {
        name: "numpat",
        summary: "Returns a count of unique pattern subscriptions.",
        handler: Handler::Data(numpat),
        ..ROW
    },
    Command {
        name: "numsub",
        syntax: "[channel [channel ...]]",
        summary: "Returns a count of subscribers to channels.",
        complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        handler: Handler::Data(|call| numsub(call, &call.services.fan_out.channels)),
        ..ROW
    },
    Command {
        name: "shardchannels",
        syntax: "[pattern]",
        summary: "Returns the active shard channels.",
        complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern \
                     matching (relatively short shard channels).",
        since: "7.0.0",
        handler: Handler::Data(|call| channels(call, &call.services.fan_out.shard_channels)),
        ..ROW
    },
    Command {
        name: "shardnumsub",
        syntax: "[shardchannel [shardchannel ...]]",
        summary: "Returns the count of subscribers of shard channels.",
        complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        since: "7.0.0",
        handler: Handler::Data(|call| numsub(call, &call.services.fan_out.shard_channels)),
        ..ROW
    },
];

fn channels(call: &mut Call<'_, '_>, interest: &Interest) -> Result<(), Refusal> {
    if call.arguments.len() > 3 {
        let word = String::from_utf8_lossy(call.arguments.at(1));
        return Err(Refusal::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
        )));
    }
    let channels = interest.subjects(call.arguments.get(2))?;
    call.output.array(channels.len());
    for channel in channels {
        call.output.bulk(&channel);
    }
    Ok(())
}

fn numsub(call: &mut Call<'_, '_>, interest: &Interest) -> Result<(), Refusal> {
    let asked = call.arguments.from(2);
    call.output.array(2 * asked.len());
    for channel in asked.iter() {
        call.output.bulk(channel);
        call.output.integer(interest.subscriber_count(channel) as i64);
    }
    Ok(())
}

fn numpat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.integer(call.services.fan_out.channels.glob_count() as i64);
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    ]);
    Ok(())
}
