//! A connection's client as its own thread sees it: the part of a conversation that few commands need.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::executor::Queue;
use super::{Caller, CallerState, KeyWaiters};
use crate::client::{ClientFlags, RespFacts, SharedClient};
use crate::delivery::{Effects, FanOut, Subscriptions};
use crate::store::{Keyspace, ShardId, Store, WatchFlag};

/// See the module's text.
pub struct Client {
    /// The part that other threads see.
    pub shared: Arc<SharedClient>,
    /// Whether it may run commands.
    pub authenticated: bool,
    /// Which replies it wants.
    pub replies: Replies,
    /// The commands it has queued since MULTI, and the keys it watches.
    pub transaction: Option<Box<Transaction>>,
    /// The channels and patterns it is subscribed to.
    pub subscriptions: Subscriptions,
}

/// Set by CLIENT REPLY.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Replies {
    /// All replies.
    #[default]
    On,
    /// None until further notice.
    Off,
    /// None to the next command: set by CLIENT REPLY SKIP itself.
    SkipNext,
    /// None to this command, then all.
    SkipThis,
}

/// MULTI's queue and WATCH's keys.
#[derive(Default)]
pub struct Transaction {
    /// Whether MULTI was said; WATCH alone makes a transaction too.
    pub started: bool,
    /// The commands to run.
    pub queue: Queue,
    /// A command was refused instead of queued: EXEC will be refused.
    pub aborted: bool,
    /// The watched keys with the databases they were watched in.
    pub watched: Vec<(usize, Box<[u8]>)>,
    /// About how many bytes the watched keys take.
    pub watched_bytes: usize,
    /// Raised when a watched key changes.
    pub changed: WatchFlag,
}

impl Client {
    /// A client that has just connected, and the caller of its commands.
    pub fn new(shared: Arc<SharedClient>, authenticated: bool) -> (Caller, Client) {
        let mut caller = Caller::new(Some(shared.id), shared.outbox.address());
        let client = Client {
            shared,
            authenticated,
            replies: Replies::On,
            transaction: None,
            subscriptions: Subscriptions::default(),
        };
        caller.state = client.state();
        (caller, client)
    }

    /// What only a RESP client has of what other threads see.
    pub fn resp(&self) -> &RespFacts {
        self.shared.resp().expect("only RESP clients have commands")
    }

    /// Why the client's commands may not simply run.  The executor tells the caller after each command that sees the
    /// client.
    pub fn state(&self) -> CallerState {
        let mut state = CallerState::empty();
        state.set(CallerState::UNAUTHENTICATED, !self.authenticated);
        state.set(CallerState::IN_TRANSACTION, self.in_transaction());
        state.set(CallerState::SUBSCRIBED, !self.subscriptions.is_empty());
        state.set(CallerState::SILENT, self.replies != Replies::On);
        state
    }

    /// Ends the transaction and the watches, locking the shards of watched keys one by one; those that are held for long are left to
    /// `waiters`.
    pub fn forget_transaction(&mut self, keyspace: &mut Keyspace<'_>, waiters: &KeyWaiters) {
        if let Some(transaction) = self.take_transaction() {
            waiters.end_watches(*transaction, keyspace);
        }
    }

    /// Ends the transaction, whose watches are left to the caller.
    pub fn take_transaction(&mut self) -> Option<Box<Transaction>> {
        let transaction = self.transaction.take()?;
        self.clear_transaction_marks();
        Some(transaction)
    }

    /// Shows others that the client is in no transaction any more.
    pub fn clear_transaction_marks(&self) {
        self.resp().set_flag(ClientFlags::MULTI, false);
        self.resp().queued.store(0, Relaxed);
        self.resp().watched.store(0, Relaxed);
    }

    /// Ends all subscriptions.
    pub fn forget_subscriptions(&mut self, fan_out: &FanOut, effects: &mut Effects) {
        fan_out.unsubscribe_all(&std::mem::take(&mut self.subscriptions), effects);
        self.show_subscriptions();
    }

    /// Shows others how many subscriptions the client has.
    pub fn show_subscriptions(&self) {
        let Subscriptions { channels, patterns, shard_channels } = &self.subscriptions;
        let resp = self.resp();
        resp.channels.store(channels.len() as u32, Relaxed);
        resp.patterns.store(patterns.len() as u32, Relaxed);
        resp.shard_channels.store(shard_channels.len() as u32, Relaxed);
        resp.set_flag(ClientFlags::PUBSUB, !self.subscriptions.is_empty());
    }

    /// Whether commands are being queued.
    pub fn in_transaction(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.started)
    }

    /// About how many bytes the queue and the watched keys take.
    pub fn transaction_bytes(&self) -> usize {
        self.transaction
            .as_ref()
            .map_or(0, |transaction| transaction.queue.bytes() + transaction.watched_bytes)
    }
}

impl Transaction {
    /// The watched keys with the shards they are in now.
    pub fn watched_shards(&self, store: &Store) -> Vec<(ShardId, &[u8])> {
        let shard_of = |database: usize, key: &[u8]| store.shard_of(database, store.key(key).hash);
        self.watched.iter().map(|(database, key)| (shard_of(*database, key), &**key)).collect()
    }
}
