//! Connected clients as other threads see them.

mod broker;
mod close_reason;
mod closed;
mod rejections;
mod report;
mod resp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use dashmap::DashMap;

pub use broker::{BrokerFacts, BrokerOptions, LastOperation};
pub use close_reason::CloseReason;
pub use closed::ClosedClients;
pub use report::ClientReport;
pub use resp::{ClientFlags, RespFacts, Waiting};

use crate::access::DEFAULT_USER;
use crate::clock::Now;
use crate::delivery::{Listener, Outbox};
use crate::lock_order::{Guard, Mutex, rank};
use rejections::Rejections;

/// Makes [`Door`] with its names.
macro_rules! doors {
    ($($(#[$text:meta])* $door:ident = $client_type:literal,)*) => {
        /// The listener that a client came by.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Door { $($(#[$text])* $door,)* }

        impl Door {
            /// All of them.
            pub const ALL: &[Door] = &[$(Door::$door),*];

            /// What NATS calls its clients.
            pub fn client_type(self) -> &'static str {
                match self { $(Door::$door => $client_type,)* }
            }

            /// Its name in metrics and lists.
            pub fn name(self) -> &'static str {
                self.listener().name()
            }

            /// The listener of messages of its clients.
            pub fn listener(self) -> Listener {
                match self { $(Door::$door => Listener::$door,)* }
            }
        }
    };
}

doors! {
    /// That of RESP.
    Resp = "resp",
    /// That of the broker's protocol.
    Broker = "nats",
    /// That of HTTP, for a WebSocket.
    WebSocket = "websocket",
}

/// The facts that a client told about itself.
#[derive(Clone, Default, Debug)]
pub struct Identity {
    /// CLIENT SETNAME, or the name in CONNECT.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME, or the language in CONNECT.
    pub library_name: String,
    /// CLIENT SETINFO LIB-VER, or the version in CONNECT.
    pub library_version: String,
    /// The user as whom it has authenticated; empty for the default one.
    pub user: String,
}

impl Identity {
    /// The name of the user as whom it has authenticated.
    pub fn user_name(&self) -> &str {
        if self.user.is_empty() { DEFAULT_USER } else { &self.user }
    }
}

/// The part of a client that other threads see.
pub struct SharedClient {
    /// A number that is never used again.
    pub id: u64,
    /// The listener that it came by.
    pub door: Door,
    /// The address it connected to.
    pub local_address: SocketAddr,
    /// When it connected, in milliseconds of the server's clock.
    pub connected_at: u64,
    /// When its last batch began, in milliseconds of the server's clock.
    pub last_active: AtomicU64,
    /// Bytes of an unfinished request it has sent so far.
    pub pending_input: AtomicUsize,
    /// The facts it told about itself; absent until it does.
    identity: Mutex<Option<Box<Identity>>, { rank::CLIENT_IDENTITY }>,
    /// Messages that wait for it.
    pub outbox: Arc<Outbox>,
    facts: Facts,
}

/// What only the clients of one protocol have.
enum Facts {
    Resp(RespFacts),
    Broker(BrokerFacts),
}

impl SharedClient {
    /// The facts of a RESP client; none if it is another.
    pub fn resp(&self) -> Option<&RespFacts> {
        match &self.facts {
            Facts::Resp(facts) => Some(facts),
            Facts::Broker(_) => None,
        }
    }

    /// The facts of a client of the broker's protocol, over TCP or a WebSocket; none if it is another.
    pub fn broker(&self) -> Option<&BrokerFacts> {
        match &self.facts {
            Facts::Broker(facts) => Some(facts),
            Facts::Resp(_) => None,
        }
    }

    /// Why its connection ends, if that is so.
    pub fn close_reason(&self) -> CloseReason {
        let reason = self.broker().and_then(BrokerFacts::close_reason);
        reason.unwrap_or(match () {
            () if self.outbox.is_cut_off() => CloseReason::SlowConsumer,
            () if self.outbox.is_closing() => CloseReason::Kicked,
            () if self.outbox.is_ending() => CloseReason::ServerShutdown,
            () => CloseReason::ClientClosed,
        })
    }

    /// Whether it has subscriptions.
    pub fn is_subscribed(&self) -> bool {
        match &self.facts {
            Facts::Resp(facts) => facts.flags().contains(ClientFlags::PUBSUB),
            Facts::Broker(facts) => facts.subscription_count() > 0,
        }
    }

    /// The facts that the client told about itself.
    pub fn identity(&self) -> Identity {
        self.identity.lock().as_deref().cloned().unwrap_or_default()
    }

    /// Whether it has told anything about itself.
    pub fn is_identified(&self) -> bool {
        self.identity.lock().is_some()
    }

    /// Changes the facts that the client told about itself.
    pub fn identify(&self, change: impl FnOnce(&mut Identity)) {
        let mut identity = self.identity.lock();
        let identity = identity.get_or_insert_default();
        change(identity);
        // Those who ask who receives a message look there.
        self.outbox.set_name(&identity.name);
    }
}

/// All connected clients.
#[derive(Default)]
pub struct Clients {
    connected: DashMap<u64, Arc<SharedClient>>,
    last_id: AtomicU64,
    /// The clients of the broker that have gone last.
    pub closed: ClosedClients,
    counts: [DoorCounts; Door::ALL.len()],
}

/// The connections of one door.
#[derive(Default)]
struct DoorCounts {
    connected: AtomicUsize,
    accepted: AtomicU64,
    rejected: Rejections,
}

impl Clients {
    /// Registers a connection.
    pub fn connect(
        &self,
        door: Door,
        address: SocketAddr,
        local_address: SocketAddr,
        now: u64,
    ) -> Arc<SharedClient> {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        let counts = self.counts(door);
        counts.accepted.fetch_add(1, Relaxed);
        counts.connected.fetch_add(1, Relaxed);
        let facts = match door {
            Door::Resp => Facts::Resp(RespFacts::default()),
            Door::Broker | Door::WebSocket => Facts::Broker(BrokerFacts::default()),
        };
        let client = Arc::new(SharedClient {
            id,
            door,
            local_address,
            connected_at: now,
            last_active: AtomicU64::new(now),
            pending_input: AtomicUsize::new(0),
            identity: Mutex::new(None),
            outbox: Arc::new(Outbox::new(id, address).of(door.listener())),
            facts,
        });
        self.connected().insert(id, client.clone());
        client
    }

    /// The map, while a caller looks at it.
    fn connected(&self) -> Guard<&DashMap<u64, Arc<SharedClient>>> {
        Guard::of_map(&self.connected, rank::CLIENTS)
    }

    fn counts(&self, door: Door) -> &DoorCounts {
        &self.counts[door as usize]
    }

    /// Forgets a connection, which ends now, in milliseconds of the server's clock.
    pub fn disconnect(&self, id: u64, now: u64) {
        let removed = self.connected().remove(&id);
        if let Some((_, client)) = removed {
            self.counts(client.door).connected.fetch_sub(1, Relaxed);
            self.closed.note(&client, now);
        }
    }

    /// Counts a connection from this address that a door has refused, and logs such now and then.
    pub fn note_rejected(&self, door: Door, address: SocketAddr, reason: &str, now: Now) {
        self.counts(door).rejected.note(door, address, reason, now);
    }

    /// The number of connections of a door.
    pub fn len(&self, door: Door) -> usize {
        self.counts(door).connected.load(Relaxed)
    }

    /// Whether no client is connected.
    pub fn is_empty(&self) -> bool {
        self.connected().is_empty()
    }

    /// Connections that a door has accepted since the start.
    pub fn accepted(&self, door: Door) -> u64 {
        self.counts(door).accepted.load(Relaxed)
    }

    /// Connections that a door has refused since the start.
    pub fn rejected(&self, door: Door) -> u64 {
        self.counts(door).rejected.count()
    }

    /// The number of clients with a blocked command.
    pub fn blocked(&self) -> usize {
        let waits = |client: &SharedClient| client.resp().is_some_and(|resp| resp.waiting() != Waiting::No);
        self.connected().iter().filter(|client| waits(client)).count()
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

    /// The clients of the broker's protocol, oldest first.
    pub fn of_broker(&self) -> Vec<Arc<SharedClient>> {
        let mut clients: Vec<_> = self
            .connected()
            .iter()
            .filter(|client| client.broker().is_some())
            .map(|client| client.clone())
            .collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }
}
