//! Connections that a door has refused: how many, and a line of the log now and then.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Door;
use crate::clock::Now;
use crate::lock_order::{Mutex, rank};
use crate::log_queue::RepeatLimit;

/// Those of one door.  See the module's text.
#[derive(Default)]
pub(super) struct Rejections {
    count: AtomicU64,
    lines: Mutex<RepeatLimit, { rank::REJECTIONS }>,
}

impl Rejections {
    /// Counts a connection from this address.
    pub(super) fn note(&self, door: Door, address: SocketAddr, reason: &str, now: Now) {
        self.count.fetch_add(1, Relaxed);
        let admitted = self.lines.lock().admit(now);
        if let Some(more) = admitted {
            tracing::warn!(listener = door.name(), %address, reason, more, "a connection is refused");
        }
    }

    /// Their number since the start.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}
