//! What other threads see of a client of the RESP door, beside what all clients have.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32};

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

/// See the module's text.
pub struct RespFacts {
    /// The row id of its last command.
    pub last_command: AtomicU32,
    /// Its selected database.
    pub database: AtomicU32,
    /// See [`ClientFlags`].
    flags: AtomicU32,
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
    /// See [`Waiting`].
    waiting: AtomicU8,
}

impl Default for RespFacts {
    fn default() -> RespFacts {
        RespFacts {
            last_command: AtomicU32::new(u32::MAX),
            database: AtomicU32::default(),
            flags: AtomicU32::default(),
            channels: AtomicU32::default(),
            patterns: AtomicU32::default(),
            shard_channels: AtomicU32::default(),
            queued: AtomicU32::default(),
            watched: AtomicU32::default(),
            waiting: AtomicU8::new(Waiting::No as u8),
        }
    }
}

impl RespFacts {
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
}
