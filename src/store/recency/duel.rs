//! The choice of the member in force: the one whose shadows have missed the fewest recent requests.
//!
//! One shard in [`LEADER_STEP`] of each database leads: it keeps a shadow of every member, which sees all that is asked of
//! the shard.  So the members are compared on the very same requests, whichever is in force: a key that everybody asks for,
//! or that is never found, is a hit or a miss for all of them and decides nothing.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::adaptive::Member;
use crate::lock_order::{Mutex, rank};
use crate::store::hash::SHARD_COUNT;

const MEMBERS: usize = Member::ALL.len();

/// Every so many shards one leads.  The shadows take three bits of memory per key.
pub(in crate::store) const LEADER_STEP: usize = 64;

/// Looks after which a leader reports.
pub(super) const ROUND: u32 = 32;

/// What was asked weighs half after so many looks, as a part of the keys that leaders hold.
const HALF_LIFE: f64 = 0.5;

/// The part of the keys that leaders hold after as many looks as which it is decided anew.
const DECISION_FRACTION: f64 = 0.125;

/// A challenger must be ahead by so many standard deviations of what chance would do to requests on which the two differ.
const DEVIATIONS: f64 = 1.5;

/// And by this part of its hits or misses, whichever are fewer.
const GAIN_MIN: f64 = 0.01;

/// The observations of a leader since it last reported.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Round {
    /// Looks for keys that may be evicted, or that are not there.
    pub(super) lookups: u32,
    /// Those that each member's shadow would have answered.
    pub(super) hits: [u32; MEMBERS],
    /// Those on which two members differ: each with the next.
    pub(super) differing: [u32; MEMBERS],
}

/// The hits and look-ups of one member.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Score {
    /// Looks that were put to it.
    pub lookups: u64,
    /// Those that it would have answered.
    pub hits: u64,
}

/// How things stand, for reports.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The member in force.
    pub winner: Member,
    /// How often another member took over.
    pub switches: u64,
    /// The score of each member since the start or the last reset, in the order of [`Member::ALL`].
    pub scores: [Score; MEMBERS],
    /// The part of the latest looks, those that decide, that each would have answered.
    pub hit_ratios: [f64; MEMBERS],
}

/// See the module's text.
#[derive(Default)]
pub struct Duel {
    winner: AtomicU8,
    record: Mutex<Record, { rank::EVICTION_DUEL }>,
}

#[derive(Default)]
struct Record {
    /// The observations; older ones count less.
    lookups: f64,
    hits: [f64; MEMBERS],
    differing: [f64; MEMBERS],
    undecided: f64,
    is_pinned: bool,
    switches: u64,
    scores: [Score; MEMBERS],
}

impl Duel {
    /// The member in force.
    pub fn winner(&self) -> Member {
        Member::ALL[usize::from(self.winner.load(Relaxed)) % MEMBERS]
    }

    /// Keeps a member in force whatever is reported, so that it can be measured alone.
    pub fn pin(&self, member: Member) {
        self.record.lock().is_pinned = true;
        self.winner.store(member as u8, Relaxed);
    }

    /// How things stand.
    pub fn standing(&self) -> Standing {
        let record = self.record.lock();
        Standing {
            winner: self.winner(),
            switches: record.switches,
            scores: record.scores,
            hit_ratios: record.hits.map(|hits| if hits > 0.0 { hits / record.lookups } else { 0.0 }),
        }
    }

    /// Sets the scores back to zero.  The member in force stays.
    pub(in crate::store) fn reset(&self) {
        let mut record = self.record.lock();
        record.switches = 0;
        record.scores = Default::default();
    }

    /// Takes in the observations of a leader that holds so many keys.
    pub(super) fn report(&self, round: &Round, keys: usize) {
        let led = (keys.max(1) * (SHARD_COUNT / LEADER_STEP)) as f64;
        let mut record = self.record.lock();
        record.add(round, led);
        if record.undecided >= led * DECISION_FRACTION && !record.is_pinned {
            record.undecided = 0.0;
            let winner = usize::from(self.winner.load(Relaxed));
            if let Some(better) = record.better_than(winner) {
                self.winner.store(better as u8, Relaxed);
                record.switches += 1;
            }
        }
    }
}

impl Record {
    fn add(&mut self, round: &Round, led: f64) {
        let lookups = f64::from(round.lookups);
        let kept = 0.5_f64.powf(lookups / (HALF_LIFE * led));
        self.lookups = self.lookups * kept + lookups;
        self.undecided += lookups;
        for member in 0..MEMBERS {
            self.hits[member] = self.hits[member] * kept + f64::from(round.hits[member]);
            self.differing[member] = self.differing[member] * kept + f64::from(round.differing[member]);
            let score = &mut self.scores[member];
            score.lookups += u64::from(round.lookups);
            score.hits += u64::from(round.hits[member]);
        }
    }

    /// The member that should be in force instead, if one is clearly better.
    fn better_than(&self, winner: usize) -> Option<usize> {
        let best = (0..MEMBERS).max_by(|&a, &b| self.hits[a].total_cmp(&self.hits[b]))?;
        let pair = if (winner + 1) % MEMBERS == best { winner } else { best };
        let by_chance = DEVIATIONS * self.differing[pair].sqrt();
        let worth_it = GAIN_MIN * self.hits[best].min(self.lookups - self.hits[best]);
        (self.hits[best] - self.hits[winner] > by_chance + worth_it).then_some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports rounds in which the members answer so many of 32 looks.
    fn play(duel: &Duel, rounds: usize, hits: [u32; MEMBERS]) {
        let differing = [0, 1, 2].map(|member: usize| hits[member].abs_diff(hits[(member + 1) % MEMBERS]));
        let round = Round { lookups: ROUND, hits, differing };
        (0..rounds).for_each(|_| duel.report(&round, 100));
    }

    #[test]
    fn the_better_member_takes_over_and_gives_way_again() {
        let duel = Duel::default();
        assert_eq!(duel.winner(), Member::Lru);
        play(&duel, 200, [10, 10, 20]);
        assert_eq!(duel.winner(), Member::Probation);
        play(&duel, 100, [20, 12, 10]);
        assert_eq!(duel.winner(), Member::Lru);
        let standing = duel.standing();
        assert_eq!(standing.switches, 2);
        assert_eq!(standing.scores[1], Score { lookups: 9600, hits: 3200 });
        assert!(standing.hit_ratios[1] > 0.37 && standing.hit_ratios[1] < 0.38, "{standing:?}");
        duel.reset();
        assert_eq!(duel.standing().scores[1], Score::default());
    }

    #[test]
    fn a_difference_that_chance_makes_or_that_is_not_worth_it_changes_nothing() {
        let duel = Duel::default();
        // Both members hit what the other misses, one of them a little more often.
        let round = Round { lookups: ROUND, hits: [10, 11, 0], differing: [21, 11, 10] };
        duel.report(&round, 1);
        assert_eq!(duel.winner(), Member::Lru);
        play(&duel, 10, [20, 20, 20]);
        assert_eq!(duel.standing().switches, 0);
    }
}
