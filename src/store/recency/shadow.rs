//! The keys that a shard would hold if one member had always been in force there: a cache of hashes without values.
//!
//! A shadow is cut into small sets, and a key belongs into one of them, so that a look takes a comparison per place of a
//! set and no index.  A set that is full lets a key go as the member would choose, which sees about as many keys there as
//! eviction samples of a shard.

use std::ops::Range;

use super::adaptive::{Member, accessed, inserted, merit};
use super::lfu::draw_below;
use super::turnover::Turnover;
use crate::store::entries::Deadline;

/// Places in a set, about: the places are shared out evenly.
const SET_SIZE: usize = 16;

/// One newcomer in so many is admitted untried where newcomers are on probation, so that residents that nobody asks for
/// any more cannot keep all others out.
pub(in crate::store) const UNTRIED_ODDS: usize = 8;

/// How far the room may be off the number of keys before it is fitted.
const SLACK_FRACTION: usize = 8;
const SLACK_MIN: usize = 8;

/// A deadline further off than so many seconds is taken for none.
const LIFETIME_SECONDS_MAX: u64 = 32_000;

/// A key as shadows know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shade {
    tag: u32,
    /// The second in which the key ends, of 16 bits; zero if it does not.
    end: u16,
    /// The second now.
    now: u16,
}

impl Shade {
    /// The key with this hash and deadline, looked at now.
    pub(super) fn new(hash: u64, deadline: Option<Deadline>, now: Deadline) -> Shade {
        let seconds = |time: Deadline| time / 1000;
        let near = deadline.filter(|&deadline| seconds(deadline.saturating_sub(now)) < LIFETIME_SECONDS_MAX);
        Shade {
            tag: (hash as u32 & Place::TAG_MAX).max(1),
            end: near.map_or(0, |deadline| (seconds(deadline) as u16).max(1)),
            now: seconds(now) as u16,
        }
    }
}

/// A place: 24 bits of the hash (none are set if it is free), the second in which the key ends, and what the entry's 24
/// bits would be.
#[derive(Clone, Copy, Default)]
struct Place(u64);

impl Place {
    const TAG_BITS: u32 = 24;
    const TAG_MAX: u32 = (1 << Place::TAG_BITS) - 1;

    fn new(tag: u32, end: u16, bits: u32) -> Place {
        Place(u64::from(tag) << 40 | u64::from(end) << 24 | u64::from(bits))
    }

    fn tag(self) -> u32 {
        (self.0 >> 40) as u32
    }

    fn end(self) -> u16 {
        (self.0 >> 24) as u16
    }

    fn bits(self) -> u32 {
        self.0 as u32 & 0xff_ffff
    }

    fn has_ended(self, now: u16) -> bool {
        self.end() != 0 && self.end().wrapping_sub(now) as i16 <= 0
    }
}

/// See the module's text.
pub(super) struct Shadow {
    member: Member,
    places: Vec<Place>,
    /// The newest key of each set, by its place in the set.
    newest: Vec<u8>,
    held: usize,
    turnover: Turnover,
}

impl Shadow {
    /// An empty shadow with room for so many keys.
    pub(super) fn new(member: Member, room: usize) -> Shadow {
        let room = room.max(1);
        let sets = (room / SET_SIZE).max(1);
        Shadow {
            member,
            places: vec![Place::default(); room],
            newest: vec![0; sets],
            held: 0,
            turnover: Turnover::default(),
        }
    }

    /// How many keys it has room for.
    pub(super) fn room(&self) -> usize {
        self.places.len()
    }

    /// Whether a key is held; it is used then.  A key that the shard `has` ends when the shard says.
    pub(super) fn access(&mut self, shade: Shade, has: bool, log_factor: u32, noise: &mut u64) -> bool {
        let Some(place) = self.find(shade.tag) else { return false };
        let held = self.places[place];
        if !has && held.has_ended(shade.now) {
            self.clear(place);
            return false;
        }
        let end = if has { shade.end } else { held.end() };
        let bits = accessed(held.bits(), self.turnover, log_factor, noise);
        self.places[place] = Place::new(shade.tag, end, bits);
        true
    }

    /// Puts a key there unless it is held.
    pub(super) fn insert(&mut self, shade: Shade, noise: &mut u64) {
        match self.find(shade.tag) {
            Some(place) => {
                self.places[place] = Place::new(shade.tag, shade.end, self.places[place].bits());
            }
            None => self.put(Place::new(shade.tag, shade.end, inserted(self.turnover)), noise),
        }
    }

    /// A key was deleted.
    pub(super) fn remove(&mut self, shade: Shade) {
        if let Some(place) = self.find(shade.tag) {
            self.clear(place);
        }
    }

    /// Fits the room to the number of keys if it is far off.
    pub(super) fn fit(&mut self, keys: usize, noise: &mut u64) {
        let slack = keys / SLACK_FRACTION + SLACK_MIN;
        if (keys..=keys + slack).contains(&self.room()) {
            return;
        }
        let fitted = Shadow { turnover: self.turnover, ..Shadow::new(self.member, keys + slack / 2) };
        let old = std::mem::replace(self, fitted);
        for place in old.places.into_iter().filter(|place| place.tag() != 0) {
            self.put(place, noise);
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.places.capacity() * size_of::<Place>() + self.newest.capacity()
    }

    fn clear(&mut self, place: usize) {
        self.places[place] = Place::default();
        self.held -= 1;
    }

    fn put(&mut self, new: Place, noise: &mut u64) {
        let (set, range) = self.set(new.tag());
        let free = range.clone().find(|&place| self.places[place].tag() == 0);
        let place = match free {
            Some(place) => {
                self.held += 1;
                self.turnover.inserted(self.held);
                place
            }
            None => {
                let place = self.coldest(set, range.clone(), noise);
                self.turnover.evicted(self.room());
                place
            }
        };
        self.places[place] = new;
        self.newest[set] = (place - range.start) as u8;
    }

    /// The place of the key that goes when a set is full.
    fn coldest(&self, set: usize, range: Range<usize>, noise: &mut u64) -> usize {
        let newest = range.start + usize::from(self.newest[set]);
        let rank = |place: usize| self.member.rank(self.places[place].bits(), self.turnover);
        let coldest = range.max_by_key(|&place| rank(place)).unwrap_or(newest);
        let merit = |place: usize| merit(self.places[place].bits(), self.turnover);
        let on_trial = self.member == Member::Probation && draw_below(UNTRIED_ODDS, noise) != 0;
        if on_trial && merit(newest) <= merit(coldest) { newest } else { coldest }
    }

    fn find(&self, tag: u32) -> Option<usize> {
        let (_, range) = self.set(tag);
        let start = range.start;
        self.places[range].iter().position(|place| place.tag() == tag).map(|place| start + place)
    }

    /// The set that a tag belongs into, and its places.
    fn set(&self, tag: u32) -> (usize, Range<usize>) {
        let sets = self.newest.len();
        let set = ((u64::from(tag) * sets as u64) >> Place::TAG_BITS) as usize;
        let room = self.room();
        (set, set * room / sets..(set + 1) * room / sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::hash::KeyHasher;

    fn shade(hasher: &KeyHasher, number: usize) -> Shade {
        Shade::new(hasher.hash(&number.to_ne_bytes()), None, 0)
    }

    /// The hits of a member on a trace.
    fn hits(member: Member, room: usize, trace: impl Iterator<Item = usize>) -> usize {
        let (hasher, mut noise) = (KeyHasher::new(1), 1);
        let mut shadow = Shadow::new(member, room);
        trace
            .filter(|&number| {
                let shade = shade(&hasher, number);
                let hit = shadow.access(shade, false, 10, &mut noise);
                shadow.insert(shade, &mut noise);
                hit
            })
            .count()
    }

    #[test]
    fn keys_that_fit_are_held() {
        for member in Member::ALL {
            let found = hits(member, 1000, (0..5000).map(|at| at % 500));
            assert!(found > 4400, "{member:?}: {found}");
        }
    }

    #[test]
    fn members_differ_on_a_loop_as_the_policies_do() {
        let found = Member::ALL.map(|member| hits(member, 1000, (0..30_000).map(|at| at % 1500)));
        assert!(found[0] < 6_000 && found[1] > found[0] && found[2] > 14_000, "{found:?}");
        // A third of it fits: nobody keeps more than 10,000.
        let found = hits(Member::Probation, 1000, (0..30_000).map(|at| at % 3000));
        assert!(found > 4_000, "{found}");
    }

    #[test]
    fn fitting_keeps_what_is_held_and_deleted_keys_are_gone() {
        let (hasher, mut noise) = (KeyHasher::new(1), 1);
        let mut shadow = Shadow::new(Member::Lru, 0);
        for number in 0..1000 {
            shadow.fit(number + 1, &mut noise);
            shadow.insert(shade(&hasher, number), &mut noise);
        }
        let mut held = |shadow: &mut Shadow| {
            let found = |&number: &usize| shadow.access(shade(&hasher, number), false, 10, &mut noise);
            (0..1000).filter(found).count()
        };
        let kept = held(&mut shadow);
        assert!(kept > 750, "{kept}");
        (0..1000).for_each(|number| shadow.remove(shade(&hasher, number)));
        assert_eq!((shadow.held, held(&mut shadow)), (0, 0));
        shadow.fit(0, &mut noise);
        assert!(shadow.memory() < 200);
    }

    #[test]
    fn a_key_ends_in_the_shadow_too() {
        let mut noise = 1;
        let mut shadow = Shadow::new(Member::Lru, 16);
        let at = |now: u64, deadline: Option<u64>| Shade::new(77, deadline, now * 1000);
        for ttl in [2, 31_999] {
            shadow.insert(at(70_000, Some((70_000 + ttl) * 1000)), &mut noise);
            assert!(shadow.access(at(70_000 + ttl - 1, None), false, 10, &mut noise), "{ttl}");
            assert!(!shadow.access(at(70_000 + ttl, None), false, 10, &mut noise), "{ttl}");
        }
        shadow.insert(at(70_000, Some(70_002_000)), &mut noise);
        // The shard has it still: it was given more time.
        assert!(shadow.access(at(70_005, None), true, 10, &mut noise));
        assert!(shadow.access(at(90_000, None), false, 10, &mut noise));
    }
}
