//! The context a command runs in.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use quartet_protocol::resp::{Arguments, Output};

use super::{CommandTable, Monitors, Row};
use crate::broker::Broker;
use crate::cache::{Key, Keyspace, Store};
use crate::client::{Client, Clients, SharedClient};
use crate::clock::{Clock, Now};
use crate::metrics::Metrics;
use crate::random::Random;
use crate::settings::{Live, OutputLimit};

/// What all threads share: the state and the tables commands work on.
pub struct Services {
    /// The data.
    pub store: Store,
    /// All commands.
    pub commands: CommandTable,
    /// What CONFIG reads and changes.
    pub settings: Live,
    /// Who is subscribed to what.
    pub broker: Broker,
    /// Who is shown every command.
    pub monitors: Monitors,
    /// Who is connected.
    pub clients: Clients,
    /// The clock; commands use [`Call::now`].
    pub clock: Clock,
    /// Counts and latencies.
    pub metrics: Metrics,
    /// When the server started.
    pub started: Now,
    /// Forty hexadecimal digits that name this run.
    pub run_id: String,
    /// Cleared by DEBUG SET-ACTIVE-EXPIRE 0.
    pub active_expiry: AtomicBool,
}

/// One request while it is being done.
pub struct Call<'c, 's: 'c> {
    /// The request; argument 0 is the command's name.
    pub arguments: Arguments<'c>,
    /// The command.
    pub row: &'s Row,
    /// Who asked.
    pub client: &'c mut Client,
    /// The data, with the shards of the declared keys locked.
    pub keyspace: &'c mut Keyspace<'s>,
    /// Where the reply goes.
    pub output: &'c mut Output,
    /// What is to happen once the locks are released.
    pub effects: &'c mut Effects,
    /// The thread's source of randomness.
    pub random: &'c mut Random,
    /// What all threads share.
    pub services: &'s Services,
    /// The first declared key, hashed ahead of time.
    pub first_key: Option<Key<'c>>,
    /// The number of the thread.
    pub slot: usize,
}

impl<'c> Call<'c, '_> {
    /// The argument at `position` as a key.
    pub fn key(&self, position: usize) -> Key<'c> {
        match self.first_key {
            Some(key) if position == usize::from(self.row.command.keys.first) => key,
            _ => self.keyspace.store().key(self.arguments.at(position)),
        }
    }

    /// Runs the handler; a refusal replaces what it had written.  False if it refused.
    pub fn run(&mut self) -> bool {
        let before = self.output.mark();
        let result = (self.row.command.handler)(self);
        if !self.services.monitors.is_empty() {
            self.show_to_monitors();
        }
        match result {
            Ok(()) => true,
            Err(refusal) => {
                self.output.truncate(before);
                self.output.error(refusal.text());
                self.services.metrics.thread(self.slot).errors.count(refusal.code());
                false
            }
        }
    }

    /// The time of this command.
    pub fn now(&self) -> Now {
        self.keyspace.now()
    }
}

/// What a batch of commands leaves to be done once no lock is held.
#[derive(Default)]
pub struct Effects {
    /// Clients in whose outboxes something was put.
    wakes: Vec<Arc<SharedClient>>,
    /// What commands took out of the store and nobody needs any more.
    discarded: Vec<Box<dyn Send>>,
    /// What becomes of the connection.
    pub flow: Flow,
}

/// What becomes of a connection after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flow {
    /// It goes on.
    #[default]
    Continue,
    /// It ends once its replies are written.
    Close,
    /// It hears nothing and is not heard for this long; others are not held up.
    Pause(std::time::Duration),
    /// The whole server stops.
    Shutdown,
}

impl Effects {
    /// Puts a message into a client's outbox and remembers to wake the client.  A client over the hard limit is cut
    /// off instead: false if it is or was.
    pub fn send(&mut self, client: &Arc<SharedClient>, message: Bytes, limit: OutputLimit) -> bool {
        if client.outbox.is_closing() {
            return false;
        }
        if limit.hard != 0 && client.outbox.bytes() + message.len() > limit.hard {
            tracing::warn!(client = client.id, address = %client.address, "closing: output buffer limit reached");
            client.outbox.close();
            self.wake(client);
            return false;
        }
        // Whoever puts the first message in wakes the client, also for those that come after it.
        if client.outbox.push(message) {
            self.wake(client);
        }
        true
    }

    /// Remembers to wake a client at the end of the batch, once however often it is said in a row.
    pub fn wake(&mut self, client: &Arc<SharedClient>) {
        if !self.wakes.last().is_some_and(|last| Arc::ptr_eq(last, client)) {
            self.wakes.push(client.clone());
        }
    }

    /// Frees `contents` once no lock is held and others may go on.
    pub fn discard(&mut self, contents: impl Send + 'static) {
        self.discarded.push(Box::new(contents));
    }

    /// Wakes all that were remembered, each once, and frees what was discarded.
    pub fn deliver(&mut self) {
        self.deliver_wakes();
        self.discarded.clear();
    }

    fn deliver_wakes(&mut self) {
        if self.wakes.is_empty() {
            return;
        }
        self.wakes.sort_unstable_by_key(|client| client.id);
        self.wakes.dedup_by_key(|client| client.id);
        for client in self.wakes.drain(..) {
            client.outbox.wake();
        }
    }
}
