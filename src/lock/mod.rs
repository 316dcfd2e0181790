//! Distributed locks: who may go on alone, in turn, with proof, and not for ever.
//!
//! An owner (one thread of control, wherever it runs) acquires resources for a time, alone, together with others or as
//! permits of a semaphore.  Who cannot have them yet waits in a queue on the server and is answered when it has its
//! turn, when its time is over, or at once if its waiting would close a circle.  Every grant carries a fence, a number
//! larger than that of every grant before, by which what is protected can turn away a holder from the past.
//!
//! What it does not promise: that a holder which was stopped for longer than its lease knows that it holds nothing any
//! more.  That is what fences are for.
//!
//! [`Core`] is the table itself, without I/O, clock or locks; [`Locks`] is the table as threads share it.  One mutex
//! guards it all: whether waiting closes a circle can only be told from one view of everybody who waits.

pub mod commands;
mod core;
mod counts;
mod deadlock;
pub mod endpoints;
mod events;
mod execution;
mod fences;
mod idempotency;
mod interner;
mod keeping;
mod leases;
pub mod limits;
mod memory;
mod modes;
pub mod operation;
mod queue;
mod records;
mod refused;
mod releases;
mod replay;
mod reports;
mod requests;
mod service;
mod sessions;
mod shared;
mod slots;
mod snapshots;
mod unheard;
mod waiters;
mod watchers;

pub use self::core::Core;
pub use counts::Counts;
pub use deadlock::{Deadlock, Step};
pub use events::{Events, Grant, Notice, NoticeKind, Outcome, WaiterId};
pub use fences::FENCE_RANGE;
pub use idempotency::RequestId;
pub use keeping::Durability;
pub use modes::Mode;
pub use refused::Refused;
pub use replay::BadRecord;
pub use reports::{Aging, Holder, Page, ResourceReport, SessionReport, Totals, WaitReport};
pub use requests::Acquired;
pub use service::SERVICE;
pub use sessions::SessionId;
pub use shared::{Answer, Asked, Locks, Operation, Table};
pub use snapshots::SnapshotWalk;
pub use watchers::{Watch, WatchedEvent, Watchers};
