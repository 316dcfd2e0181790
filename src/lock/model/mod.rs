//! The model: which owners hold which resources, who waits, and when that ends.
//!
//! It finds and changes things and keeps them consistent.  It does not decide whose turn it is: it only notes the
//! resources whose waiters may have their turn.  It does no I/O and reads no clock.

pub(in crate::lock) mod events;
pub(in crate::lock) mod fences;
pub(in crate::lock) mod grants;
pub(in crate::lock) mod idempotency;
mod interner;
pub(in crate::lock) mod lease;
mod leases;
pub(in crate::lock) mod load;
mod memory;
mod queue;
mod reports;
mod requests;
pub(in crate::lock) mod resource;
pub(in crate::lock) mod session;
mod sessions;
mod slots;
pub(in crate::lock) mod waiter;
mod waiters;

use std::collections::{BTreeSet, HashMap, VecDeque};

use foldhash::fast::RandomState;

use self::events::Events;
use self::fences::Fences;
use self::idempotency::RequestIds;
use self::interner::Interner;
use self::lease::Lease;
use self::resource::{Owner, Resource};
use self::session::Session;
use self::slots::Slots;
use self::waiter::Waiter;
use super::counts::Counts;
use super::deadlock::Deadlock;
use super::identifiers::{SessionId, WaiterId};
use super::limits::DEADLOCKS_MAX;
use super::notice::{Notice, NoticeKind};

/// Deadlines besides those of leases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::lock) enum Due {
    Session(SessionId),
    Waiter(WaiterId),
}

/// See the module's text.
#[derive(Default)]
pub struct Model {
    pub(in crate::lock) resources: Interner<Resource>,
    pub(in crate::lock) owners: Interner<Owner>,
    pub(in crate::lock) leases: Slots<Lease>,
    pub(in crate::lock) waiters: HashMap<WaiterId, Waiter, RandomState>,
    pub(in crate::lock) sessions: HashMap<SessionId, Session, RandomState>,
    /// The sessions that are bound to each connection.
    pub(in crate::lock) connections: HashMap<u64, Vec<SessionId>, RandomState>,
    pub(in crate::lock) due: BTreeSet<(u64, Due)>,
    /// When leases end, with their numbers.
    pub(in crate::lock) leases_due: BTreeSet<(u64, u32)>,
    pub(in crate::lock) fences: Fences,
    pub(in crate::lock) request_ids: RequestIds,
    pub(in crate::lock) deadlocks: VecDeque<Deadlock>,
    pub(in crate::lock) counts: Counts,
    /// Resources whose waiters may have their turn.
    pub(in crate::lock) touched: VecDeque<usize>,
    pub(in crate::lock) now: u64,
    pub(in crate::lock) last_waiter: u64,
    /// Whether records are replayed that a snapshot may have seen already.
    pub(in crate::lock) replays_seen: bool,
    /// Bytes of the texts that holders and waiters gave about themselves.
    pub(in crate::lock) meta_bytes: usize,
    /// Bytes beyond which nothing is added; 0 for no limit.
    pub(in crate::lock) memory_limit: usize,
}

impl Model {
    /// The last fence that was given out.
    pub(in crate::lock) fn last_fence(&self) -> u64 {
        self.fences.last()
    }

    /// Every fence that was given out, by this or an earlier server, is at most this.
    pub(in crate::lock) fn fence_bound(&self) -> u64 {
        self.fences.upto()
    }

    /// The earliest time, in microseconds, at which something falls due.
    pub fn next_deadline(&self) -> Option<u64> {
        let lease = self.leases_due.first().map(|(at, _)| *at);
        let other = self.due.first().map(|(at, _)| *at);
        match (lease, other) {
            (Some(lease), Some(other)) => Some(lease.min(other)),
            _ => lease.or(other),
        }
    }

    /// Notes what happened, if there are listeners.  `resource` and `owner` still have their names.
    #[inline]
    pub(in crate::lock) fn notice(
        &self,
        kind: NoticeKind,
        resource: usize,
        owner: usize,
        fence: u64,
        reason: &[u8],
        events: &mut Events,
    ) {
        if events.wants_notices {
            self.add_notice(kind, resource, owner, fence, reason, events);
        }
    }

    pub(in crate::lock) fn add_notice(
        &self,
        kind: NoticeKind,
        resource: usize,
        owner: usize,
        fence: u64,
        reason: &[u8],
        events: &mut Events,
    ) {
        events.notices.push(Notice {
            kind,
            resource: self.resources.name(resource).into(),
            owner: self.owners.name(owner).into(),
            fence,
            waiters: self.resources[resource].queue.len(),
            reason: reason.into(),
        });
    }

    pub(in crate::lock) fn remember_deadlock(&mut self, deadlock: Deadlock) {
        self.counts.deadlocks += 1;
        if self.deadlocks.len() == DEADLOCKS_MAX {
            self.deadlocks.pop_back();
        }
        self.deadlocks.push_front(deadlock);
    }

    /// Forgets an owner that neither holds nor waits.
    pub(in crate::lock) fn forget_owner(&mut self, id: usize) {
        if self.owners.get(id).is_some_and(|owner| owner.leases.is_empty() && owner.wait.is_none()) {
            self.owners.remove(id);
        }
    }

    /// Forgets a resource that is neither held nor waited for.
    pub(in crate::lock) fn forget_resource(&mut self, id: usize) {
        if self.resources.get(id).is_some_and(Resource::is_unused) {
            self.resources.remove(id);
        }
    }
}
