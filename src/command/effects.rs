//! What commands leave to be done once no lock is held, and what becomes of the connection that said them.

use std::sync::Arc;

use bytes::Bytes;

use super::{HeldReply, Parked};
use crate::allocator;
use crate::client::SharedClient;
use crate::settings::OutputLimit;

/// What a batch of commands leaves to be done once no lock is held.
#[derive(Default)]
pub struct Effects {
    /// Clients in whose outboxes something was put.
    wakes: Vec<Arc<SharedClient>>,
    /// Clients that were cut off since they did not read what others sent them.
    cut_off: Vec<Arc<SharedClient>>,
    /// What commands took out of the store and nobody needs any more.
    discarded: Vec<Box<dyn Send>>,
    /// The connection's command that waits for its reply, with [`Flow::Wait`].
    pub parked: Option<Box<dyn Parked>>,
    /// Replies that wait for the disk.
    pub held: Vec<HeldReply>,
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
    /// Its command has no reply yet: it is parked.
    Wait,
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
            client.outbox.close();
            // The log is written once no lock is held.
            self.cut_off.push(Arc::clone(client));
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
        if !self.discarded.is_empty() {
            self.discarded.clear();
            allocator::ask_for_purge();
        }
        for client in self.cut_off.drain(..) {
            tracing::warn!(client = client.id, address = %client.address, "closing: output buffer limit reached");
        }
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
