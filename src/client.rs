//! One client: what its own thread keeps, and what other threads may see and do of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

use bytes::Bytes;
use dashmap::DashMap;

use crate::lock_order::{Guard, Mutex, rank};
use quartet_protocol::resp::{OwnedArguments, Version, kept_of};

use crate::broker::Subscriptions;
use crate::delivery::Outbox;
use crate::store::{Keyspace, ShardId, Store, WatchFlag};

/// A client as its own thread sees it.
pub struct Client {
    /// What others see.
    pub shared: Arc<SharedClient>,
    /// The selected database.
    pub database: usize,
    /// Whether it may run commands.
    pub authenticated: bool,
    /// The version of the protocol it speaks.
    pub version: Version,
    /// What it wants to hear of replies.
    pub replies: Replies,
    /// What it has said since MULTI or WATCH.
    pub transaction: Option<Box<Transaction>>,
    /// The channels and patterns it is subscribed to.
    pub subscriptions: Subscriptions,
    /// The commands of its transaction are running, so that nothing may come between their replies.
    pub in_exec: bool,
    /// Its reads leave no trace for eviction.
    pub no_touch: bool,
    /// What of the request that runs may be kept without a copy, if it has long arguments.
    pub request: Option<LongRequest>,
}

/// The buffer of a request with long arguments, which commands may keep parts of.
pub struct LongRequest {
    /// The buffer.
    pub buffer: Bytes,
    /// Long arguments that were copied while those behind them were on their way, each with its place in the buffer.
    pub copied: Vec<(usize, Bytes)>,
}

impl LongRequest {
    /// An argument to be kept: its copy, or the buffer if it is nearly all of it.
    pub fn kept(&self, argument: &[u8]) -> Option<Bytes> {
        let start = (argument.as_ptr() as usize).checked_sub(self.buffer.as_ptr() as usize)?;
        match self.copied.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(place) if self.copied[place].1.len() == argument.len() => Some(self.copied[place].1.clone()),
            _ => kept_of(&self.buffer, argument),
        }
    }
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
    /// Whether MULTI was said; WATCH alone starts a record too.
    pub started: bool,
    /// The commands to run, by row id.
    pub queue: Vec<(usize, OwnedArguments)>,
    /// Memory that the queue and the watched keys take, about.
    pub held_bytes: usize,
    /// A command was refused while queueing: EXEC will be refused.
    pub aborted: bool,
    /// A queued command needs the gate alone.
    pub needs_exclusive: bool,
    /// A queued command may need memory: EXEC is refused when there is none.
    pub needs_memory: bool,
    /// The watched keys with the databases they were watched in.
    pub watched: Vec<(usize, Box<[u8]>)>,
    /// Raised when a watched key changes.
    pub changed: WatchFlag,
}

impl Client {
    /// A client that has just connected.
    pub fn new(shared: Arc<SharedClient>, authenticated: bool) -> Client {
        Client {
            shared,
            database: 0,
            authenticated,
            version: Version::Resp2,
            replies: Replies::On,
            transaction: None,
            subscriptions: Subscriptions::default(),
            in_exec: false,
            no_touch: false,
            request: None,
        }
    }

    /// Ends the transaction and the watches, locking the shards of watched keys one by one.
    pub fn forget_transaction(&mut self, keyspace: &mut Keyspace<'_>) {
        let Some(transaction) = self.transaction.take() else { return };
        self.clear_transaction_marks();
        for (id, key) in transaction.watched_shards(keyspace.store()) {
            keyspace.with_shard(id, |shard, _| shard.unwatch(key, &transaction.changed));
        }
    }

    /// Tells others that the client is in no transaction any more.
    pub fn clear_transaction_marks(&self) {
        self.shared.set_flag(ClientFlags::MULTI, false);
        self.shared.queued.store(0, Relaxed);
        self.shared.watched.store(0, Relaxed);
    }

    /// Tells others how many subscriptions the client has.
    pub fn show_subscriptions(&self) {
        let Subscriptions { channels, patterns, shard_channels } = &self.subscriptions;
        self.shared.channels.store(channels.len() as u32, Relaxed);
        self.shared.patterns.store(patterns.len() as u32, Relaxed);
        self.shared.shard_channels.store(shard_channels.len() as u32, Relaxed);
        self.shared.set_flag(ClientFlags::PUBSUB, !self.subscriptions.is_empty());
    }

    /// Whether commands are being queued.
    pub fn in_transaction(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.started)
    }
}

impl Transaction {
    /// The watched keys with the shards they are in now.
    pub fn watched_shards(&self, store: &Store) -> Vec<(ShardId, &[u8])> {
        let shard_of = |database: usize, key: &[u8]| store.shard_of(database, store.key(key).hash);
        self.watched.iter().map(|(database, key)| (shard_of(*database, key), &**key)).collect()
    }
}

bitflags::bitflags! {
    /// What CLIENT LIST shows as flags.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ClientFlags: u32 {
        /// In MULTI.
        const MULTI = 1;
        /// Has subscriptions.
        const PUBSUB = 1 << 1;
        /// Runs MONITOR.
        const MONITOR = 1 << 2;
        /// Said CLIENT NO-EVICT ON.
        const NO_EVICT = 1 << 3;
        /// Said CLIENT NO-TOUCH ON.
        const NO_TOUCH = 1 << 4;
        /// Speaks RESP3.
        const RESP3 = 1 << 5;
        /// A watched key has changed.
        const DIRTY = 1 << 6;
        /// Its command waits.
        const BLOCKED = 1 << 7;
    }
}

/// Whether a client waits for a reply, and what CLIENT UNBLOCK has asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Waiting {
    /// It does not wait.
    No,
    /// It waits.
    Yes,
    /// It waits and is to be answered as if its time were over.
    TimeOut,
    /// It waits and is to be answered with an error.
    Fail,
}

/// What a client told about itself.
#[derive(Clone, Default, Debug)]
pub struct Identity {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub library_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: String,
}

/// What other threads see of a client.
pub struct SharedClient {
    /// A number that is never used again.
    pub id: u64,
    /// Its address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local_address: SocketAddr,
    /// When it connected, in milliseconds of the server's clock.
    pub connected_at: u64,
    /// When its last batch began, in milliseconds of the server's clock.
    pub last_active: AtomicU64,
    /// The row id of its last command.
    pub last_command: AtomicU32,
    /// Its selected database.
    pub database: AtomicU32,
    /// See [`ClientFlags`].
    pub flags: AtomicU32,
    /// Channels it is subscribed to.
    pub channels: AtomicU32,
    /// Patterns it is subscribed to.
    pub patterns: AtomicU32,
    /// Shard channels it is subscribed to.
    pub shard_channels: AtomicU32,
    /// Commands it has queued in MULTI, plus one; 0 outside MULTI.
    pub queued: AtomicU32,
    /// Keys it watches.
    pub watched: AtomicU32,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes of an unfinished request it has sent so far.
    pub pending_input: AtomicUsize,
    /// See [`Waiting`].
    waiting: AtomicU8,
    /// What it told about itself; absent until it does.
    pub identity: Mutex<Option<Box<Identity>>, { rank::CLIENT_IDENTITY }>,
    /// Messages that wait for it.
    pub outbox: Arc<Outbox>,
}

impl SharedClient {
    /// Sets or clears flags.
    pub fn set_flag(&self, flag: ClientFlags, on: bool) {
        if on {
            self.flags.fetch_or(flag.bits(), Relaxed);
        } else {
            self.flags.fetch_and(!flag.bits(), Relaxed);
        }
    }

    /// The flags.
    pub fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_truncate(self.flags.load(Relaxed))
    }

    /// Begins or ends waiting.
    pub fn set_waiting(&self, waiting: bool) {
        let state = if waiting { Waiting::Yes } else { Waiting::No };
        self.waiting.store(state as u8, Release);
        self.set_flag(ClientFlags::BLOCKED, waiting);
    }

    /// Whether the client waits.
    pub fn waiting(&self) -> Waiting {
        match self.waiting.load(Acquire) {
            state if state == Waiting::No as u8 => Waiting::No,
            state if state == Waiting::Yes as u8 => Waiting::Yes,
            state if state == Waiting::TimeOut as u8 => Waiting::TimeOut,
            _ => Waiting::Fail,
        }
    }

    /// Has a client that waits answered in the way of `how` when it is woken; false if it does not wait.
    pub fn unblock(&self, how: Waiting) -> bool {
        self.waiting.compare_exchange(Waiting::Yes as u8, how as u8, AcqRel, Acquire).is_ok()
    }

    /// What the client told about itself.
    pub fn identity(&self) -> Identity {
        self.identity.lock().as_deref().cloned().unwrap_or_default()
    }

    /// Changes what the client told about itself.
    pub fn identify(&self, change: impl FnOnce(&mut Identity)) {
        change(self.identity.lock().get_or_insert_default());
    }
}

/// All connected clients.
#[derive(Default)]
pub struct Clients {
    connected: DashMap<u64, Arc<SharedClient>>,
    last_id: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

impl Clients {
    /// Registers a connection.
    pub fn connect(&self, address: SocketAddr, local_address: SocketAddr, now: u64) -> Arc<SharedClient> {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        self.accepted.fetch_add(1, Relaxed);
        let client = Arc::new(SharedClient {
            id,
            address,
            local_address,
            connected_at: now,
            last_active: AtomicU64::new(now),
            last_command: AtomicU32::new(u32::MAX),
            database: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            shard_channels: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            watched: AtomicU32::new(0),
            bytes_in: AtomicU64::new(0),
            pending_input: AtomicUsize::new(0),
            waiting: AtomicU8::new(Waiting::No as u8),
            identity: Mutex::new(None),
            outbox: Arc::new(Outbox::new(id, address)),
        });
        self.connected().insert(id, client.clone());
        client
    }

    /// The map, for as long as it is looked at.
    fn connected(&self) -> Guard<&DashMap<u64, Arc<SharedClient>>> {
        Guard::of_map(&self.connected, rank::CLIENTS)
    }

    /// Forgets a connection.
    pub fn disconnect(&self, id: u64) {
        self.connected().remove(&id);
    }

    /// Notes a connection that was turned away.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.connected().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.connected().is_empty()
    }

    /// Connections taken since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections turned away since the start.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// Clients whose command waits.
    pub fn blocked(&self) -> usize {
        self.connected().iter().filter(|client| client.waiting() != Waiting::No).count()
    }

    /// The client with this id.
    pub fn get(&self, id: u64) -> Option<Arc<SharedClient>> {
        self.connected().get(&id).map(|client| client.clone())
    }

    /// All clients, oldest first.
    pub fn all(&self) -> Vec<Arc<SharedClient>> {
        let mut clients: Vec<_> = self.connected().iter().map(|client| client.clone()).collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }
}
