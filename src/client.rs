//! Connected clients as other threads see them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

use dashmap::DashMap;

use crate::delivery::Outbox;
use crate::lock_order::{Guard, Mutex, rank};

bitflags::bitflags! {
    /// The flags in CLIENT LIST.
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

/// Whether a client waits for a reply, and how CLIENT UNBLOCK ends the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Waiting {
    /// It does not wait.
    No,
    /// It waits.
    Yes,
    /// It waits, and its reply is to be that of a time-out.
    TimeOut,
    /// It waits, and its reply is to be an error.
    Fail,
}

/// The facts that a client told about itself.
#[derive(Clone, Default, Debug)]
pub struct Identity {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub library_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: String,
}

/// The part of a client that other threads see.
pub struct SharedClient {
    /// A number that is never used again.
    pub id: u64,
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
    /// The facts it told about itself; absent until it does.
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

    /// Ends the wait of a client in the way of `how` when it is woken; false if it does not wait.
    pub fn unblock(&self, how: Waiting) -> bool {
        self.waiting.compare_exchange(Waiting::Yes as u8, how as u8, AcqRel, Acquire).is_ok()
    }

    /// The facts that the client told about itself.
    pub fn identity(&self) -> Identity {
        self.identity.lock().as_deref().cloned().unwrap_or_default()
    }

    /// Changes the facts that the client told about itself.
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

    /// The map, while a caller looks at it.
    fn connected(&self) -> Guard<&DashMap<u64, Arc<SharedClient>>> {
        Guard::of_map(&self.connected, rank::CLIENTS)
    }

    /// Forgets a connection.
    pub fn disconnect(&self, id: u64) {
        self.connected().remove(&id);
    }

    /// Counts a refused connection.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.connected().len()
    }

    /// Whether no client is connected.
    pub fn is_empty(&self) -> bool {
        self.connected().is_empty()
    }

    /// Connections accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections refused since the start.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// The number of clients with a blocked command.
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
