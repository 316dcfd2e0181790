//! The deadlines of a hash's fields, soonest first.
//!
//! Most hashes have few fields, so these lie in one sorted list, which is looked through: that takes a few dozen bytes where a
//! table and a tree would take more than a kibibyte.  Many are found by a table and ordered by a tree.

use std::collections::BTreeSet;

use super::fields::FieldTable;
use super::room::{block_of, reserve};
use crate::allocator::block_size;
use crate::store::value::Deadline;

/// Up to so many deadlines lie in a list.
const FEW_MAX: usize = 64;

/// With so few left, many become few again.  It is well below [`FEW_MAX`], so that a hash on the border does not go to and fro,
/// and a tree is never so small that its account is wrong by much.
const MANY_MIN: usize = FEW_MAX / 2;

/// Items of a full leaf of a tree, as the standard library has it, and of one that was filled in ascending order, as deadlines
/// mostly come, together with the one item above it.
const LEAF_ITEMS: usize = 11;
const LEAF_ITEMS_USUAL: usize = 7;

/// Bytes of a leaf, and of an inner node, which has one more edge than items.
const LEAF: usize = LEAF_ITEMS * size_of::<Timed>() + 2 * size_of::<usize>();
const NODE: usize = LEAF + (LEAF_ITEMS + 1) * size_of::<usize>();

/// A field with its deadline before it, so that they are in the order of these.
type Timed = (Deadline, Box<[u8]>);

/// See the head of the file.
#[derive(Clone)]
pub(super) struct Deadlines {
    form: Form,
    /// Bytes of the names' blocks, not counting the table's.
    name_bytes: usize,
}

#[derive(Clone)]
enum Form {
    /// Sorted.
    Few(Vec<Timed>),
    Many(Box<Many>),
}

#[derive(Clone)]
struct Many {
    /// Eight bytes for each field.
    by_field: FieldTable,
    order: BTreeSet<Timed>,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines { form: Form::Few(Vec::new()), name_bytes: 0 }
    }
}

impl Deadlines {
    /// Number of fields that have one.
    pub(super) fn len(&self) -> usize {
        match &self.form {
            Form::Few(few) => few.len(),
            Form::Many(many) => many.order.len(),
        }
    }

    /// That of a field.
    pub(super) fn get(&self, field: &[u8]) -> Option<Deadline> {
        match &self.form {
            Form::Few(few) => few.iter().find(|(_, other)| **other == *field).map(|(deadline, _)| *deadline),
            Form::Many(many) => many.get(field),
        }
    }

    /// The soonest.
    pub(super) fn first(&self) -> Option<Deadline> {
        let timed = match &self.form {
            Form::Few(few) => few.first(),
            Form::Many(many) => many.order.first(),
        };
        timed.map(|(deadline, _)| *deadline)
    }

    /// The latest.
    pub(super) fn last(&self) -> Option<Deadline> {
        let timed = match &self.form {
            Form::Few(few) => few.last(),
            Form::Many(many) => many.order.last(),
        };
        timed.map(|(deadline, _)| *deadline)
    }

    /// Adds that of a field which has none yet.  `make_table` makes an empty table, for when there are many.
    pub(super) fn add(&mut self, field: &[u8], deadline: Deadline, make_table: impl FnOnce() -> FieldTable) {
        self.name_bytes += block_size(field.len());
        let timed = (deadline, Box::<[u8]>::from(field));
        match &mut self.form {
            Form::Few(few) if few.len() < FEW_MAX => {
                reserve(few, 1);
                let place = few.partition_point(|other| *other < timed);
                few.insert(place, timed);
            }
            Form::Few(few) => {
                let mut many = Many { by_field: make_table(), order: BTreeSet::new() };
                few.drain(..).chain([timed]).for_each(|timed| many.add(timed));
                self.form = Form::Many(Box::new(many));
            }
            Form::Many(many) => many.add(timed),
        }
    }

    /// Removes that of a field, if it has one.
    pub(super) fn remove(&mut self, field: &[u8]) {
        let is_removed = match &mut self.form {
            Form::Few(few) => {
                let place = few.iter().position(|(_, other)| **other == *field);
                place.map(|place| few.remove(place)).is_some()
            }
            Form::Many(many) => many.remove(field),
        };
        if is_removed {
            self.note_removed(field);
        }
    }

    /// Takes out the field with the soonest deadline, if that has passed at `now`.
    pub(super) fn take_due(&mut self, now: Deadline) -> Option<Box<[u8]>> {
        if self.first().is_none_or(|deadline| now <= deadline) {
            return None;
        }
        let (_, field) = match &mut self.form {
            Form::Few(few) => few.remove(0),
            Form::Many(many) => many.take_first()?,
        };
        self.note_removed(&field);
        Some(field)
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        let form = match &self.form {
            Form::Few(few) => block_of(few),
            Form::Many(many) => {
                block_size(size_of::<Many>()) + many.by_field.memory() + tree_size(many.order.len())
            }
        };
        form + self.name_bytes
    }

    fn note_removed(&mut self, field: &[u8]) {
        self.name_bytes -= block_size(field.len());
        match &mut self.form {
            Form::Few(few) => {
                if 2 * block_size(size_of_val(few.as_slice())) <= few.capacity() * size_of::<Timed>() {
                    // One that is shrunk in place would keep its block.
                    let mut moved = Vec::new();
                    reserve(&mut moved, few.len());
                    moved.append(few);
                    *few = moved;
                }
            }
            Form::Many(many) if many.order.len() <= MANY_MIN => {
                self.form = Form::Few(std::mem::take(&mut many.order).into_iter().collect());
            }
            Form::Many(_) => {}
        }
    }
}

impl Many {
    fn get(&self, field: &[u8]) -> Option<Deadline> {
        let bytes = self.by_field.get(field)?;
        Some(Deadline::from_ne_bytes(*bytes.first_chunk().expect("a deadline has eight bytes")))
    }

    fn add(&mut self, timed: Timed) {
        self.by_field.set(&timed.1, &timed.0.to_ne_bytes());
        self.order.insert(timed);
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        let Some(deadline) = self.get(field) else { return false };
        self.by_field.remove(field);
        self.order.remove(&(deadline, field.into()))
    }

    fn take_first(&mut self) -> Option<Timed> {
        let first = self.order.pop_first()?;
        self.by_field.remove(&first.1);
        Some(first)
    }
}

/// About how many bytes the nodes of a tree of so many items take.
fn tree_size(items: usize) -> usize {
    let leaves = items.div_ceil(LEAF_ITEMS_USUAL);
    leaves * block_size(LEAF) + leaves.div_ceil(LEAF_ITEMS_USUAL) * block_size(NODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::store::hash::KeyHasher;
    use crate::store::random_steps::steps;

    impl Deadlines {
        /// Checks that the order, the table and the account agree.
        fn check(&self) {
            let names: Vec<&Timed> = match &self.form {
                Form::Few(few) => few.iter().collect(),
                Form::Many(many) => many.order.iter().collect(),
            };
            assert!(names.is_sorted());
            assert_eq!(self.name_bytes, names.iter().map(|(_, name)| block_size(name.len())).sum::<usize>());
            names.iter().for_each(|(deadline, name)| assert_eq!(self.get(name), Some(*deadline)));
            if let Form::Many(many) = &self.form {
                assert_eq!(many.by_field.len(), many.order.len());
            }
        }
    }

    fn add(deadlines: &mut Deadlines, field: &[u8], deadline: Deadline) {
        deadlines.remove(field);
        deadlines.add(field, deadline, || FieldTable::new(KeyHasher::new(3)));
    }

    #[test]
    fn deadlines_are_a_sorted_map_in_both_forms() {
        let (mut random, mut deadlines) = (Random::with_seed(11), Deadlines::default());
        let mut model = BTreeSet::<Timed>::new();
        let (mut forms, steps) = (0, steps(20_000));
        for step in 0..steps {
            let was_few = matches!(deadlines.form, Form::Few(_));
            // The fields become many, and few again.
            let adds = if step / 1_000 % 2 == 0 { 6 } else { 0 };
            let name = format!("field{}", random.below(200));
            let deadline = random.below(1_000) as Deadline;
            match random.below(8) {
                roll if roll < adds => {
                    model.retain(|(_, other)| **other != *name.as_bytes());
                    model.insert((deadline, name.as_bytes().into()));
                    add(&mut deadlines, name.as_bytes(), deadline);
                }
                7 => {
                    let now = deadline / 20;
                    let due = model.first().filter(|(deadline, _)| now > *deadline).cloned();
                    due.iter().for_each(|due| assert!(model.remove(due)));
                    assert_eq!(deadlines.take_due(now), due.map(|(_, field)| field));
                }
                _ => {
                    model.retain(|(_, other)| **other != *name.as_bytes());
                    deadlines.remove(name.as_bytes());
                }
            }
            forms += usize::from(was_few != matches!(deadlines.form, Form::Few(_)));
            assert_eq!(deadlines.len(), model.len());
            assert_eq!(deadlines.first(), model.first().map(|(deadline, _)| *deadline));
            assert_eq!(deadlines.last(), model.last().map(|(deadline, _)| *deadline));
            deadlines.check();
        }
        assert!(forms >= steps / 2_000, "{forms} changes of the form");
    }

    #[test]
    fn few_deadlines_take_what_their_blocks_take() {
        let mut deadlines = Deadlines::default();
        add(&mut deadlines, b"field", 1);
        assert_eq!(deadlines.memory(), block_size(size_of::<Timed>()) + block_size(5));
        for number in 1..FEW_MAX {
            add(&mut deadlines, format!("field{number}").as_bytes(), 1);
        }
        assert_eq!(deadlines.memory(), block_size(FEW_MAX * size_of::<Timed>()) + FEW_MAX * block_size(5));
        (1..FEW_MAX).for_each(|number| deadlines.remove(format!("field{number}").as_bytes()));
        assert!(deadlines.memory() <= 2 * (block_size(size_of::<Timed>()) + block_size(5)));
        deadlines.remove(b"field");
        assert_eq!(deadlines.memory(), 0);
    }
}
