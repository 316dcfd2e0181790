//! The subscriptions of one RESP client by their names, as its own thread keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Name, Subscription};

/// The subscriptions, in the order of the bytes of their names.
#[derive(Default)]
pub struct Subscriptions {
    /// To channels.
    pub channels: BTreeMap<Name, Arc<Subscription>>,
    /// To patterns.
    pub patterns: BTreeMap<Name, Arc<Subscription>>,
    /// To shard channels.
    pub shard_channels: BTreeMap<Name, Arc<Subscription>>,
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
