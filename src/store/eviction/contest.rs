//! What a leading shard keeps for the duel, and how a shard notes what happens to its keys for adaptive eviction.

use std::sync::Arc;

use super::adaptive::Member;
use super::duel::{Duel, ROUND, Round};
use super::newcomers::Newcomers;
use super::shadow::{Shade, Shadow};
use super::turnover::Turnover;
use super::{AccessContext, Adaptive, Shard};
use crate::store::Deadline;
use crate::store::entries::Position;

/// What a shard's keys are judged by besides their own bits.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::store) struct Trace {
    /// The shard's own randomness.
    pub(super) noise: u64,
    /// The shard's clock.
    pub(in crate::store) turnover: Turnover,
}

/// The shadows of a leading shard.
pub(in crate::store) struct Contest {
    duel: Arc<Duel>,
    shadows: [Shadow; Member::ALL.len()],
    round: Round,
    noise: u64,
}

impl Contest {
    fn new(duel: Arc<Duel>, keys: usize) -> Contest {
        let shadows = Member::ALL.map(|member| Shadow::new(member, keys));
        Contest { duel, shadows, round: Round::default(), noise: 0 }
    }

    /// Somebody has asked for a key, which the shard `has` or not.
    fn look(&mut self, shade: Shade, has: bool, rules: Adaptive) {
        let Contest { shadows, noise, round, .. } = self;
        let hits = shadows.each_mut().map(|shadow| shadow.access(shade, has, rules.log_factor, noise));
        if has && hits == [false; Member::ALL.len()] {
            // It came to be among the keys that are compared in a way that the shadows were not told of.
            return self.insert(shade);
        }
        round.lookups += 1;
        for (member, &hit) in hits.iter().enumerate() {
            round.hits[member] += u32::from(hit);
            round.differing[member] += u32::from(hit != hits[(member + 1) % hits.len()]);
        }
        if round.lookups >= ROUND {
            self.duel.report(&std::mem::take(round), self.shadows[0].room());
        }
    }

    /// A key was written that the shard had not.
    fn insert(&mut self, shade: Shade) {
        for shadow in &mut self.shadows {
            shadow.insert(shade, &mut self.noise);
        }
    }

    /// A key was written that the shard has.
    fn overwrite(&mut self, shade: Shade, rules: Adaptive) {
        for shadow in &mut self.shadows {
            if !shadow.access(shade, true, rules.log_factor, &mut self.noise) {
                shadow.insert(shade, &mut self.noise);
            }
        }
    }

    fn fit(&mut self, keys: usize) {
        for shadow in &mut self.shadows {
            shadow.fit(keys, &mut self.noise);
        }
    }

    fn memory(&self) -> usize {
        size_of::<Contest>() + self.shadows.iter().map(Shadow::memory).sum::<usize>()
    }
}

/// What adaptive eviction notes in a shard.  All of it does nothing while another policy is in force.
impl Shard {
    /// Begins or ends keeping what adaptive eviction needs, if the policy has changed.
    pub(in crate::store) fn adapt(&mut self, access: &AccessContext) {
        let is_adaptive = access.recency.adaptive().is_some();
        if is_adaptive == self.newcomers.is_some() {
            return;
        }
        self.changed = true;
        self.newcomers = is_adaptive.then(Newcomers::default);
        let keys = self.evictable_len();
        let duel = self.duel.as_ref().filter(|_| is_adaptive);
        self.contest = duel.map(|duel| Box::new(Contest::new(Arc::clone(duel), keys)));
    }

    /// Whether the shard keeps what only adaptive eviction needs.
    pub fn is_adapted(&self) -> bool {
        self.newcomers.is_some()
    }

    /// Bytes of memory that eviction takes besides the entries' own bits.
    pub(in crate::store) fn eviction_memory(&self) -> usize {
        self.newcomers.as_ref().map_or(0, Newcomers::memory)
            + self.contest.as_ref().map_or(0, |contest| contest.memory())
    }

    /// A client has read a key.
    #[inline]
    pub(in crate::store) fn note_hit(&mut self, position: Position, hash: u64, access: &AccessContext) {
        if let Some(rules) = access.recency.contested()
            && self.contest.is_some()
        {
            self.in_contest(position, hash, access, rules, |contest, shade| contest.look(shade, true, rules));
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
    pub(in crate::store) fn note_overwrite(&mut self, position: Position, hash: u64, access: &AccessContext) {
        if let Some(rules) = access.recency.contested()
            && self.contest.is_some()
        {
            self.in_contest(position, hash, access, rules, |contest, shade| contest.overwrite(shade, rules));
        }
    }

    /// Tells a leading shard's shadows of a key, if it is one that may be evicted.
    #[cold]
    fn in_contest(
        &mut self,
        position: Position,
        hash: u64,
        access: &AccessContext,
        rules: Adaptive,
        tell: impl FnOnce(&mut Contest, Shade),
    ) {
        let entry = self.entries.get(position);
        let deadline = entry.deadline();
        if !entry.is_pinned()
            && (!rules.only_volatile || deadline.is_some())
            && let Some(contest) = &mut self.contest
        {
            tell(contest, Shade::new(hash, deadline, access.now));
        }
    }

    /// A key was put there that may be evicted, or may be if it has a deadline.
    pub(in crate::store) fn note_insert(
        &mut self,
        hash: u64,
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) {
        let Some(rules) = access.recency.adaptive() else { return };
        let keys = self.evictable_len();
        self.trace.turnover.inserted(keys);
        if rules.only_volatile && deadline.is_none() {
            return;
        }
        if let Some(newcomers) = &mut self.newcomers {
            newcomers.insert(hash, keys);
        }
        let compared = if rules.only_volatile { self.entries.evictable_volatile_len() } else { keys };
        if let Some(contest) = &mut self.contest {
            contest.fit(compared);
            contest.insert(Shade::new(hash, deadline, access.now));
        }
    }

    /// A key has gone, but not to make room.
    pub(in crate::store) fn note_removal(&mut self, hash: u64) {
        if let Some(contest) = &mut self.contest {
            contest.shadows.iter_mut().for_each(|shadow| shadow.remove(Shade::new(hash, None, 0)));
        }
    }

    /// A key is about to be evicted.
    pub(in crate::store) fn note_eviction(&mut self) {
        self.trace.turnover.evicted(self.evictable_len());
    }
}
