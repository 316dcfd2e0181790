//! The shadows of a leading shard, for the duel of the members of adaptive eviction.

use std::sync::Arc;

use super::adaptive::{Adaptive, Member};
use super::duel::{Duel, ROUND, Round};
use super::shadow::{Shade, Shadow};

/// The shadows of a leading shard.
pub(super) struct Contest {
    duel: Arc<Duel>,
    shadows: [Shadow; Member::ALL.len()],
    round: Round,
    noise: u64,
}

impl Contest {
    /// One for a shard with so many keys.
    pub(super) fn new(duel: Arc<Duel>, keys: usize) -> Contest {
        let shadows = Member::ALL.map(|member| Shadow::new(member, keys));
        Contest { duel, shadows, round: Round::default(), noise: 0 }
    }

    /// A client has asked for a key, which the shard `has` or not.
    pub(super) fn look(&mut self, shade: Shade, has: bool, rules: Adaptive) {
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
    pub(super) fn insert(&mut self, shade: Shade) {
        for shadow in &mut self.shadows {
            shadow.insert(shade, &mut self.noise);
        }
    }

    /// A key was written that the shard has.
    pub(super) fn overwrite(&mut self, shade: Shade, rules: Adaptive) {
        for shadow in &mut self.shadows {
            if !shadow.access(shade, true, rules.log_factor, &mut self.noise) {
                shadow.insert(shade, &mut self.noise);
            }
        }
    }

    /// The shard has so many keys now that are compared.
    pub(super) fn fit(&mut self, keys: usize) {
        for shadow in &mut self.shadows {
            shadow.fit(keys, &mut self.noise);
        }
    }

    /// A key has gone.
    pub(super) fn remove(&mut self, hash: u64) {
        self.shadows.iter_mut().for_each(|shadow| shadow.remove(Shade::new(hash, None, 0)));
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of::<Contest>() + self.shadows.iter().map(Shadow::memory).sum::<usize>()
    }
}
