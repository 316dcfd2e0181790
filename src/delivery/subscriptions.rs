//! The names that one client is subscribed to, as its own thread keeps them.

use std::collections::BTreeSet;

use super::Name;

/// The names, each shared with its router, in the order of their bytes.
#[derive(Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Name>,
    /// Patterns.
    pub patterns: BTreeSet<Name>,
    /// Shard channels.
    pub shard_channels: BTreeSet<Name>,
}

impl Subscriptions {
    /// The number of all.
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
