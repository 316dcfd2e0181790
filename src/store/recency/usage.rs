//! A shard's knowledge of the use of its keys, besides the bits of their entries.  Most of it serves adaptive eviction and is
//! empty while another policy is in force.

use std::sync::Arc;

use super::access::AccessContext;
use super::adaptive::Adaptive;
use super::contest::Contest;
use super::duel::Duel;
use super::newcomers::Newcomers;
use super::shadow::Shade;
use super::trace::Trace;
use crate::store::entries::{Deadline, Entries, Position};

/// See the head of the file.
#[derive(Default)]
pub(in crate::store) struct Usage {
    /// The clock and the randomness of the bits of entries.
    pub(in crate::store) trace: Trace,
    /// Exist only while the eviction policy is adaptive.
    newcomers: Option<Newcomers>,
    /// Exists only in shards that lead, while the eviction policy is adaptive.
    contest: Option<Box<Contest>>,
    /// The duel in which the shard leads, if it is one that does.
    duel: Option<Arc<Duel>>,
}

impl Usage {
    /// That of a shard that leads in a duel, if one is given.
    pub(in crate::store) fn new(duel: Option<Arc<Duel>>) -> Usage {
        Usage { duel, ..Usage::default() }
    }

    /// Makes or drops the state that adaptive eviction needs.  True if the policy has changed.
    pub(in crate::store) fn adapt(&mut self, entries: &Entries, access: &AccessContext) -> bool {
        let is_adaptive = access.recency.adaptive().is_some();
        if is_adaptive == self.newcomers.is_some() {
            return false;
        }
        self.newcomers = is_adaptive.then(Newcomers::default);
        let duel = self.duel.as_ref().filter(|_| is_adaptive);
        self.contest = duel.map(|duel| Box::new(Contest::new(Arc::clone(duel), entries.evictable_len())));
        true
    }

    /// Whether the state that only adaptive eviction needs is there.
    pub(in crate::store) fn is_adapted(&self) -> bool {
        self.newcomers.is_some()
    }

    /// Bytes of memory.
    pub(in crate::store) fn memory(&self) -> usize {
        self.newcomers.as_ref().map_or(0, Newcomers::memory)
            + self.contest.as_ref().map_or(0, |contest| contest.memory())
    }

    /// The hash of the oldest newcomer, which is none any more.
    pub(in crate::store) fn next_newcomer(&mut self) -> Option<u64> {
        self.newcomers.as_mut()?.take_oldest()
    }

    /// A client has read a key.
    #[inline]
    pub(in crate::store) fn note_hit(
        &mut self,
        entries: &Entries,
        position: Position,
        hash: u64,
        access: &AccessContext,
    ) {
        if let Some(rules) = access.recency.contested()
            && self.contest.is_some()
        {
            self.in_contest(entries, position, (hash, access), rules, |contest, shade| {
                contest.look(shade, true, rules);
            });
        }
    }

    /// A client has asked for a key that is not there.
    #[inline]
    pub(in crate::store) fn note_miss(&mut self, hash: u64, access: &AccessContext) {
        if let Some(rules) = access.recency.contested()
            && let Some(contest) = &mut self.contest
        {
            contest.look(Shade::new(hash, None, access.now), false, rules);
        }
    }

    /// A client has changed a key.
    #[inline]
    pub(in crate::store) fn note_overwrite(
        &mut self,
        entries: &Entries,
        position: Position,
        hash: u64,
        access: &AccessContext,
    ) {
        if let Some(rules) = access.recency.contested()
            && self.contest.is_some()
        {
            self.in_contest(entries, position, (hash, access), rules, |contest, shade| {
                contest.overwrite(shade, rules);
            });
        }
    }

    /// Tells the shadows of a key, if it is one that may be evicted.
    #[cold]
    fn in_contest(
        &mut self,
        entries: &Entries,
        position: Position,
        (hash, access): (u64, &AccessContext),
        rules: Adaptive,
        tell: impl FnOnce(&mut Contest, Shade),
    ) {
        let entry = entries.get(position);
        let deadline = entry.deadline();
        if !entry.is_pinned()
            && (!rules.only_volatile || deadline.is_some())
            && let Some(contest) = &mut self.contest
        {
            tell(contest, Shade::new(hash, deadline, access.now));
        }
    }

    /// A key was put among the entries that may be evicted, or may be if it has a deadline.
    pub(in crate::store) fn note_insert(
        &mut self,
        entries: &Entries,
        hash: u64,
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) {
        let Some(rules) = access.recency.adaptive() else { return };
        let keys = entries.evictable_len();
        self.trace.turnover.inserted(keys);
        if rules.only_volatile && deadline.is_none() {
            return;
        }
        if let Some(newcomers) = &mut self.newcomers {
            newcomers.insert(hash, keys);
        }
        let compared = if rules.only_volatile { entries.evictable_volatile_len() } else { keys };
        if let Some(contest) = &mut self.contest {
            contest.fit(compared);
            contest.insert(Shade::new(hash, deadline, access.now));
        }
    }

    /// A key has gone, but not to make room.
    pub(in crate::store) fn note_removal(&mut self, hash: u64) {
        if let Some(contest) = &mut self.contest {
            contest.remove(hash);
        }
    }

    /// A key is about to be evicted.
    pub(in crate::store) fn note_eviction(&mut self, entries: &Entries) {
        self.trace.turnover.evicted(entries.evictable_len());
    }

    /// All keys have gone.
    pub(in crate::store) fn clear(&mut self) {
        self.newcomers = None;
        self.contest = None;
        self.trace.turnover.cleared();
    }
}
