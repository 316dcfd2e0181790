//! What the broker tells all its clients about itself, and whether they know the latest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::access::User;
use crate::random::Random;
use crate::settings::Settings;

/// The version of NATS whose protocol is spoken: clients choose what to send by it.
pub const NATS_VERSION: &str = "2.11.9";

/// The name of the server among others.
pub const SERVER_NAME: &str = "quartet";

/// What nats-server says of itself in the bits of its flags: it has streams, and these are not of an older kind.
pub const STREAM_FLAGS: u8 = 7;

/// The characters of a server's number after its first, as many as those of NATS have.
const SERVER_ID_LENGTH: usize = 55;

/// The characters in a server's number.
const SERVER_ID_DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The characters of the server's number with which the names of its events begin.
const EVENT_PREFIX_LENGTH: usize = 8;

/// What events and answers say of the server, with the fields in the order of nats-server.
#[derive(Serialize)]
pub struct ServerFacts<'s> {
    /// [`SERVER_NAME`].
    pub name: &'static str,
    /// The address of the server that the client is connected to.
    pub host: String,
    /// [`Announcement::server_id`].
    pub id: &'s str,
    /// [`NATS_VERSION`].
    pub ver: &'static str,
    /// Whether it says that it has streams.
    pub jetstream: bool,
    /// The bits by which nats-server says which kind of streams it has.
    pub flags: u8,
    /// The number of the event or answer among those of its kind.
    pub seq: u64,
    /// When it was told, as RFC 3339 writes it.
    pub time: String,
}

/// Settings that concern all clients.
#[derive(Default, PartialEq, Eq)]
struct Followed {
    payload_max: usize,
    users: Arc<[User]>,
}

/// See the module's text.
pub struct Announcement {
    /// A name of this run that looks like those of NATS.
    pub server_id: String,
    is_ending: AtomicBool,
    /// The settings that concern all clients, as they were when the clients were last woken for them.
    followed: ArcSwap<Followed>,
    /// Goes up with each change.
    revision: AtomicU32,
    /// Events about clients that were told so far.
    events: AtomicU64,
}

impl Announcement {
    /// A server that has told nobody anything.
    pub fn new(random: &mut Random) -> Announcement {
        let digit = |_| char::from(SERVER_ID_DIGITS[(random.draw() % 32) as usize]);
        let server_id = std::iter::once('N').chain((0..SERVER_ID_LENGTH).map(digit)).collect();
        Announcement {
            server_id,
            is_ending: AtomicBool::new(false),
            followed: ArcSwap::default(),
            revision: AtomicU32::new(0),
            events: AtomicU64::new(0),
        }
    }

    /// Goes up with each change.
    pub fn revision(&self) -> u32 {
        self.revision.load(Relaxed)
    }

    /// Whether the server is about to end, so that its clients should look for another.
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Relaxed)
    }

    /// Notes that the server is about to end.  The caller wakes the clients.
    pub fn end(&self) {
        if !self.is_ending.swap(true, Relaxed) {
            self.revision.fetch_add(1, Relaxed);
        }
    }

    /// The number of the next event about a client, and a name for it that no other has.
    pub fn next_event(&self) -> (u64, String) {
        let number = self.events.fetch_add(1, Relaxed) + 1;
        let (prefix, _) = self.server_id.split_at(EVENT_PREFIX_LENGTH);
        (number, format!("{prefix}{number:014X}"))
    }

    /// Notes the settings that concern all clients.  True if one has changed: the caller then wakes the clients.
    pub fn follow(&self, settings: &Settings) -> bool {
        let now = Followed { payload_max: settings.broker_max_payload, users: Arc::clone(&settings.users) };
        let has_changed = **self.followed.load() != now;
        if has_changed {
            self.followed.store(Arc::new(now));
            self.revision.fetch_add(1, Relaxed);
        }
        has_changed
    }
}
