//! The families of commands and the facts of each family: its names in the documentation, ACL and metrics.

/// The family a command belongs to, in the order of the documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Strings.
    String,
    /// Hashes.
    Hash,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Keys of any type.
    Generic,
    /// MULTI and its companions.
    Transactions,
    /// Publish and subscribe.
    PubSub,
    /// Rate limits.
    RateLimit,
    /// Distributed locks.
    Lock,
    /// Durable streams.
    Stream,
    /// Scripts in Lua.
    Scripting,
    /// The connection and its client.
    Connection,
    /// Operating the server.
    Server,
    /// Being one server of many, which this one never is.
    Cluster,
}

/// The facts of a group.
#[derive(Debug)]
pub struct GroupFacts {
    /// The group.
    pub group: Group,
    /// Its name in COMMAND DOCS.
    pub name: &'static str,
    /// Its heading in `docs/commands.md`.
    pub heading: &'static str,
    /// The ACL category of its commands; empty if the group decides nothing about it.
    pub category: &'static str,
    /// The label `service` of its commands in metrics.
    pub service: &'static str,
    /// Whether its commands append to the journal.
    pub is_journaled: bool,
}

/// All groups.
#[rustfmt::skip]
pub const GROUPS: &[GroupFacts] = &[
    GroupFacts { group: Group::String, name: "string", heading: "Strings", category: "string", service: "cache", is_journaled: false },
    GroupFacts { group: Group::Hash, name: "hash", heading: "Hashes", category: "hash", service: "cache", is_journaled: false },
    GroupFacts { group: Group::List, name: "list", heading: "Lists", category: "list", service: "cache", is_journaled: false },
    GroupFacts { group: Group::Set, name: "set", heading: "Sets", category: "set", service: "cache", is_journaled: false },
    GroupFacts { group: Group::SortedSet, name: "sorted-set", heading: "Sorted sets", category: "sortedset", service: "cache", is_journaled: false },
    GroupFacts { group: Group::Generic, name: "generic", heading: "Keys", category: "keyspace", service: "cache", is_journaled: false },
    GroupFacts { group: Group::Transactions, name: "transactions", heading: "Transactions", category: "transaction", service: "cache", is_journaled: false },
    GroupFacts { group: Group::PubSub, name: "pubsub", heading: "Publish and subscribe", category: "", service: "broker", is_journaled: false },
    GroupFacts { group: Group::RateLimit, name: "ratelimit", heading: "Rate limits", category: "", service: "limits", is_journaled: true },
    GroupFacts { group: Group::Lock, name: "lock", heading: "Locks", category: "", service: "locks", is_journaled: true },
    GroupFacts { group: Group::Stream, name: "stream", heading: "Durable streams", category: "stream", service: "streams", is_journaled: true },
    GroupFacts { group: Group::Scripting, name: "scripting", heading: "Scripts", category: "scripting", service: "scripts", is_journaled: true },
    GroupFacts { group: Group::Connection, name: "connection", heading: "Connection", category: "connection", service: "server", is_journaled: false },
    GroupFacts { group: Group::Server, name: "server", heading: "Server", category: "", service: "server", is_journaled: false },
    GroupFacts { group: Group::Cluster, name: "cluster", heading: "Cluster", category: "", service: "server", is_journaled: false },
];

impl Group {
    /// The facts of the group.
    pub fn facts(self) -> &'static GroupFacts {
        &GROUPS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::GROUPS;

    #[test]
    fn facts_are_those_of_their_group() {
        assert!(GROUPS.iter().all(|facts| facts.group.facts().name == facts.name));
    }
}
