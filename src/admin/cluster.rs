//! CLUSTER and its companions: refused in the words by which clients know that there is no cluster.

use crate::command::{Call, Command, Deprecated, Flags, Group, Handler};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "cluster",
        summary: "A container for Redis Cluster commands.",
        complexity: "Depends on subcommand.",
        since: "3.0.0",
        group: Group::Cluster,
        subcommands: &[
            Command {
                name: "countkeysinslot",
                syntax: "slot",
                summary: "Returns the number of keys in a hash slot.",
                ..ROW
            },
            Command {
                name: "getkeysinslot",
                syntax: "slot count",
                summary: "Returns the key names in a hash slot.",
                complexity: "O(log(N)) where N is the number of requested keys",
                ..ROW
            },
            Command { name: "info", summary: "Returns information about the state of a node.", ..ROW },
            Command {
                name: "keyslot",
                syntax: "key",
                summary: "Returns the hash slot for a key.",
                complexity: "O(N) where N is the number of bytes in the key",
                ..ROW
            },
            Command {
                name: "links",
                summary: "Returns a list of all TCP links to and from peer nodes.",
                complexity: "O(N) where N is the total number of Cluster nodes",
                since: "7.0.0",
                ..ROW
            },
            Command { name: "myid", summary: "Returns the ID of a node.", ..ROW },
            Command {
                name: "nodes",
                summary: "Returns the cluster configuration for a node.",
                complexity: "O(N) where N is the total number of Cluster nodes",
                ..ROW
            },
            Command {
                name: "shards",
                summary: "Returns the mapping of cluster slots to shards.",
                complexity: "O(N) where N is the total number of cluster nodes",
                since: "7.0.0",
                ..ROW
            },
            Command {
                name: "slots",
                deprecated: Some(Deprecated { since: "7.0.0", replaced_by: "`CLUSTER SHARDS`" }),
                summary: "Returns the mapping of cluster slots to nodes.",
                complexity: "O(N) where N is the total number of Cluster nodes",
                ..ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "readonly",
        summary: "Enables read-only queries for a connection to a Redis Cluster replica node.",
        flags: CONNECTION,
        ..ROW
    },
    Command {
        name: "readwrite",
        summary: "Enables read-write queries for a connection to a Redis Cluster replica node.",
        flags: CONNECTION,
        ..ROW
    },
    Command {
        name: "asking",
        summary: "Signals that a cluster client is following an -ASK redirect.",
        flags: Flags::FAST,
        ..ROW
    },
];

/// The start of the rows.
const ROW: Command = Command {
    since: "3.0.0",
    group: Group::Cluster,
    flags: Flags::STALE,
    handler: Handler::Data(refuse),
    ..Command::ROW
};

const CONNECTION: Flags = Flags::LOADING.union(Flags::STALE).union(Flags::FAST);

fn refuse(_: &mut Call<'_, '_>) -> Result<(), Refusal> {
    Err(Refusal::new("ERR This instance has cluster support disabled"))
}
