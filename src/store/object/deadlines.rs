//! The deadlines of a hash's fields, soonest first.
//!
//! Most hashes have few fields, so these lie packed, each deadline followed by its field, and are looked through: that takes a dozen
//! bytes where a table and a tree would take more than a kibibyte.  Many are a sorted set, whose scores they are: it finds that of
//! a field, the soonest, and how many have passed, in a few steps each.

use super::item::{Encoded, Item, Items};
use super::room::{block_of, give_back, reserve};
use super::sorted_set::{Bound, ScoreTree};
use crate::allocator::block_size;
use crate::store::hash::KeyHasher;
use crate::store::value::Deadline;

/// Up to so many deadlines, and so many bytes of them with their fields, lie packed.
const FEW_MAX: usize = 64;
const FEW_SIZE_MAX: usize = 4096;

/// With so few left, many become few again, if they are short enough.  It is well below [`FEW_MAX`], so that a hash on the border
/// does not go to and fro.
const MANY_MIN: usize = FEW_MAX / 2;

/// A deadline further ahead is kept as this one, hundreds of thousands of years ahead: up to it every score is exact.
pub(in crate::store) const FIELD_DEADLINE_MAX: Deadline = 1 << 53;

/// See the head of the file.
#[derive(Clone)]
pub(super) enum Deadlines {
    Few(Few),
    Many(Box<ScoreTree>),
}

/// Sorted, and of equal deadlines the one that came first before the others.
#[derive(Clone, Default)]
pub(super) struct Few {
    items: Vec<u8>,
    count: usize,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines::Few(Few::default())
    }
}

impl Deadlines {
    /// Number of fields that have one.
    pub(super) fn len(&self) -> usize {
        match self {
            Deadlines::Few(few) => few.count,
            Deadlines::Many(tree) => tree.len(),
        }
    }

    /// That of a field.
    pub(super) fn get(&self, field: &[u8]) -> Option<Deadline> {
        match self {
            Deadlines::Few(few) => few.find(field).map(|(deadline, _)| deadline_in(&deadline)),
            Deadlines::Many(tree) => tree.score(field).map(|score| score as Deadline),
        }
    }

    /// The soonest.
    pub(super) fn first(&self) -> Option<Deadline> {
        match self {
            Deadlines::Few(few) => few.pairs().next().map(|(deadline, _)| deadline_in(&deadline)),
            Deadlines::Many(tree) => at_rank(tree, 0).map(|(deadline, _)| deadline),
        }
    }

    /// The latest.
    pub(super) fn last(&self) -> Option<Deadline> {
        match self {
            Deadlines::Few(few) => few.pairs().last().map(|(deadline, _)| deadline_in(&deadline)),
            Deadlines::Many(tree) => at_rank(tree, tree.len().checked_sub(1)?).map(|(deadline, _)| deadline),
        }
    }

    /// How many have passed at `now`.
    pub(super) fn due_len(&self, now: Deadline) -> usize {
        match self {
            Deadlines::Few(few) => {
                few.pairs().take_while(|(deadline, _)| deadline_in(deadline) < now).count()
            }
            Deadlines::Many(tree) => tree.count(Bound::BelowScore(now as f64)),
        }
    }

    /// Adds that of a field which has none yet.
    pub(super) fn add(&mut self, field: &[u8], deadline: Deadline, hasher: &KeyHasher) {
        let deadline = deadline.min(FIELD_DEADLINE_MAX);
        match self {
            Deadlines::Few(few) if few.has_room_for(field) => few.add(field, deadline),
            Deadlines::Few(few) => {
                let mut tree = ScoreTree::new(hasher.clone());
                for (deadline, field) in few.pairs() {
                    tree.set(&field.part(), deadline_in(&deadline) as f64);
                }
                tree.set(field, deadline as f64);
                *self = Deadlines::Many(Box::new(tree));
            }
            Deadlines::Many(tree) => drop(tree.set(field, deadline as f64)),
        }
    }

    /// Removes that of a field, if it has one.
    pub(super) fn remove(&mut self, field: &[u8]) {
        match self {
            Deadlines::Few(few) => few.remove(field),
            Deadlines::Many(tree) => {
                if tree.remove(field) {
                    self.become_few();
                }
            }
        }
    }

    /// Takes out the field with the soonest deadline, if that has passed at `now`.
    pub(super) fn take_due(&mut self, now: Deadline) -> Option<Box<[u8]>> {
        match self {
            Deadlines::Few(few) => few.take_due(now),
            Deadlines::Many(tree) => {
                let (_, field) = at_rank(tree, 0).filter(|(deadline, _)| *deadline < now)?;
                tree.remove(&field);
                self.become_few();
                Some(field)
            }
        }
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        match self {
            Deadlines::Few(few) => block_of(&few.items),
            Deadlines::Many(tree) => block_size(size_of::<ScoreTree>()) + tree.memory(),
        }
    }

    /// Packs them if there are few.
    fn become_few(&mut self) {
        let Deadlines::Many(tree) = self else { return };
        if tree.len() != MANY_MIN {
            return;
        }
        let (mut few, mut fits) = (Few::default(), true);
        tree.visit(0..tree.len(), false, &mut |field, deadline| {
            fits = fits && few.has_room_for(field);
            if fits {
                few.add(field, deadline as Deadline);
            }
        });
        if fits {
            *self = Deadlines::Few(few);
        }
    }
}

impl Few {
    /// The deadlines, each with its field.
    fn pairs(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>)> {
        let mut items = Items::new(&self.items);
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    fn has_room_for(&self, field: &[u8]) -> bool {
        self.count < FEW_MAX && self.items.len() + Encoded::HEAD_MAX * 2 + field.len() <= FEW_SIZE_MAX
    }

    fn find(&self, field: &[u8]) -> Option<(Item<'_>, Item<'_>)> {
        if field.len() > FEW_SIZE_MAX {
            return None;
        }
        let wanted = Encoded::new(field);
        self.pairs().find(|(_, field)| field.is(&wanted))
    }

    fn add(&mut self, field: &[u8], deadline: Deadline) {
        let later = self.pairs().find(|(other, _)| deadline_in(other) > deadline);
        let place = later.map_or(self.items.len(), |(deadline, _)| deadline.range.start);
        let (deadline, field) = (Encoded::number(deadline as i64), Encoded::new(field));
        reserve(&mut self.items, deadline.len() + field.len());
        let pieces = deadline.pieces().into_iter().chain(field.pieces());
        self.items.splice(place..place, pieces.flatten().copied());
        self.count += 1;
    }

    fn remove(&mut self, field: &[u8]) {
        let found = self.find(field).map(|(deadline, field)| deadline.range.start..field.range.end);
        if let Some(range) = found {
            self.cut(range);
        }
    }

    fn take_due(&mut self, now: Deadline) -> Option<Box<[u8]>> {
        let (deadline, field) = self.pairs().next().filter(|(deadline, _)| deadline_in(deadline) < now)?;
        let (range, field) = (deadline.range.start..field.range.end, Box::from(&*field.part()));
        self.cut(range);
        Some(field)
    }

    fn cut(&mut self, range: std::ops::Range<usize>) {
        self.items.drain(range);
        self.count -= 1;
        give_back(&mut self.items);
    }
}

/// The deadline that an item is.
fn deadline_in(item: &Item<'_>) -> Deadline {
    // Up to the latest one a floating-point number has each of them.
    item.double() as Deadline
}

/// The deadline of a rank with its field.
fn at_rank(tree: &ScoreTree, rank: usize) -> Option<(Deadline, Box<[u8]>)> {
    let mut found = None;
    if rank < tree.len() {
        tree.visit(rank..rank + 1, false, &mut |field, score| {
            found = Some((score as Deadline, Box::from(field)))
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;
    use crate::store::random_steps::steps;

    fn add(deadlines: &mut Deadlines, field: &[u8], deadline: Deadline) {
        deadlines.remove(field);
        deadlines.add(field, deadline, &KeyHasher::new(3));
    }

    #[test]
    fn deadlines_are_a_sorted_map_in_both_forms() {
        let (mut random, mut deadlines) = (Random::with_seed(11), Deadlines::default());
        let mut model = BTreeMap::<Vec<u8>, Deadline>::new();
        let (mut forms, steps) = (0, steps(20_000));
        for step in 0..steps {
            let was_few = matches!(deadlines, Deadlines::Few(_));
            // The fields become many, and few again.
            let adds = if step / 1_000 % 2 == 0 { 6 } else { 0 };
            let number = random.below(200);
            let name =
                if number % 3 == 0 { number.to_string() } else { format!("field{number}") }.into_bytes();
            let deadline = random.below(1_000) as Deadline;
            match random.below(8) {
                roll if roll < adds => {
                    model.insert(name.clone(), deadline);
                    add(&mut deadlines, &name, deadline);
                }
                7 => {
                    let now = deadline / 20;
                    let soonest = model.values().min().copied();
                    let taken = deadlines.take_due(now).map(|field| model.remove(&*field));
                    assert_eq!(taken, soonest.filter(|soonest| now > *soonest).map(Some));
                }
                _ => {
                    model.remove(&name);
                    deadlines.remove(&name);
                }
            }
            forms += usize::from(was_few != matches!(deadlines, Deadlines::Few(_)));
            assert_eq!(deadlines.len(), model.len());
            assert_eq!(deadlines.first(), model.values().min().copied());
            assert_eq!(deadlines.last(), model.values().max().copied());
            assert_eq!(deadlines.get(&name), model.get(&name).copied());
            let passed = model.values().filter(|other| **other < deadline).count();
            assert_eq!(deadlines.due_len(deadline), passed);
            if step % 64 == 0 {
                model.iter().for_each(|(name, deadline)| assert_eq!(deadlines.get(name), Some(*deadline)));
            }
        }
        assert!(forms >= steps / 2_000, "{forms} changes of the form");
    }

    #[test]
    fn few_deadlines_take_a_dozen_bytes_each() {
        let mut deadlines = Deadlines::default();
        add(&mut deadlines, b"field", 1 << 41);
        assert_eq!(deadlines.memory(), block_size(7 + 6));
        (1..FEW_MAX).for_each(|number| add(&mut deadlines, format!("field{number:02}").as_bytes(), 1 << 41));
        assert!(matches!(deadlines, Deadlines::Few(_)));
        assert!(deadlines.memory() <= block_size(FEW_MAX * 16), "{}", deadlines.memory());
        let mut many = deadlines.clone();
        add(&mut many, b"further", 1);
        assert!(matches!(many, Deadlines::Many(_)));
        (1..FEW_MAX).for_each(|number| deadlines.remove(format!("field{number:02}").as_bytes()));
        assert!(deadlines.memory() <= 2 * block_size(7 + 6));
        deadlines.remove(b"field");
        assert_eq!(deadlines.memory(), 0);
    }

    #[test]
    fn long_fields_and_late_deadlines_are_kept_too() {
        let mut deadlines = Deadlines::default();
        let long = vec![b'x'; 70_000];
        add(&mut deadlines, b"short", Deadline::MAX);
        add(&mut deadlines, &long, 7);
        assert!(matches!(deadlines, Deadlines::Many(_)));
        assert_eq!((deadlines.get(&long), deadlines.get(b"short")), (Some(7), Some(FIELD_DEADLINE_MAX)));
        assert_eq!((deadlines.first(), deadlines.last()), (Some(7), Some(FIELD_DEADLINE_MAX)));
        deadlines.remove(&long);
        assert_eq!((deadlines.len(), deadlines.get(&long)), (1, None));
    }
}
