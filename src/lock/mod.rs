//! Distributed locks: an owner goes on alone, in turn, with proof, and not for ever.
//!
//! An owner (one thread of control, wherever it runs) acquires resources for a time: exclusively, shared with others,
//! or as permits of a semaphore.  If it cannot have them yet, it waits in a queue on the server and is answered when
//! its turn comes, when its time to wait is over, or at once if waiting would close a circle.  Every grant carries a
//! fence, a number larger than that of every grant before, by which the protected resource can refuse a holder from the
//! past.
//!
//! Not promised: that a holder which was stopped for longer than its lease notices that the lease has ended.  Fences
//! are there for that.
//!
//! The files from the bottom up; each names only files below it, which `tests/tidy/order` checks:
//!
//! ```text
//! commands/ endpoints/   what clients can say, and how the answers are spelled
//! service                the row, INFO, metrics; notices are published here
//! execution              the method of the scheduler that runs each operation
//! persistence/service    the end that the journal's keeper holds
//! shared                 the table as threads share it: one mutex, mailboxes, tickets
//! persistence/           what outlives the server: replay, snapshot, what replies wait for
//! scheduler/             whose turn it is: acquire, release, renew, withdraw …; deadlocks; deadlines
//! model/                 the table: resources, owners, leases, waiters, sessions, fences, remembered requests
//! operation              requests as values; beside it their answers: grant, outcome, report, notice, refused
//! ```
//!
//! One mutex guards it all: whether waiting closes a circle can only be told from one view of all waiters.

pub mod commands;
mod counts;
mod deadlock;
mod durability;
pub mod endpoints;
mod execution;
mod grant;
mod identifiers;
pub mod limits;
mod mode;
mod model;
mod notice;
pub mod operation;
mod outcome;
mod persistence;
mod records;
mod refused;
mod report;
mod scheduler;
mod service;
mod shared;

pub use counts::Counts;
pub use deadlock::{Deadlock, Step};
pub use durability::Durability;
pub use grant::Grant;
pub use identifiers::{RequestId, SessionId, WaiterId};
pub use mode::Mode;
pub use model::Model;
pub use model::events::Events;
pub use model::fences::FENCE_RANGE;
pub use notice::{Notice, NoticeKind, channel_of};
pub use outcome::{Acquired, Outcome};
pub use persistence::{BadRecord, SnapshotWalk};
pub use refused::Refused;
pub use report::{Aging, Holder, Page, ResourceReport, SessionReport, Totals, WaitReport};
pub use scheduler::Core;
pub use service::SERVICE;
pub use shared::{Answer, Asked, LockOperation, Locks, Table};
