//! A hash: fields with values.
//!
//! Few and short pairs are packed into one byte string, in the order in which they were added.  A hash that outgrows
//! [`HashLimits`] becomes a table and stays one, as in Redis.

use super::fields::{self, FieldTable};
use super::packed::{Item, Packed};
use crate::store::hash::KeyHasher;

/// A packed hash with more bytes than this becomes a table, whatever the limits say: each look-up walks over them.
const PACKED_SIZE_MAX: usize = 1 << 20;

/// Up to where a hash is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashLimits {
    /// Most fields: the setting `hash-max-listpack-entries`.
    pub entries: usize,
    /// Most bytes of a field or a value: the setting `hash-max-listpack-value`.
    pub value: usize,
}

/// See the head of the file.
#[derive(Clone)]
pub struct Hash(Form);

#[derive(Clone)]
enum Form {
    /// Each field is followed by its value.
    Packed {
        pairs: Packed,
        length: usize,
    },
    Table(Box<FieldTable>),
}

/// A hash that is written to.
pub struct HashWriter<'h> {
    hash: &'h mut Hash,
    limits: HashLimits,
    hasher: &'h KeyHasher,
    changed: bool,
}

impl Hash {
    /// An empty hash.
    pub(in crate::store) fn new() -> Hash {
        Hash(Form::Packed { pairs: Packed::default(), length: 0 })
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed { length, .. } => *length,
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there are no fields, which is so only while a hash is made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Redis' name for the form it has.
    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Form::Packed { .. } => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        match &self.0 {
            Form::Packed { pairs, .. } => pairs.memory(),
            Form::Table(table) => size_of::<FieldTable>() + table.memory(),
        }
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.0 {
            Form::Packed { pairs, .. } => find_packed(pairs, field).map(|(_, value)| value.bytes),
            Form::Table(table) => table.get(field),
        }
    }

    /// Calls `visit` with each field and its value: packed ones in the order in which they were added.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        match &self.0 {
            Form::Packed { pairs, .. } => packed_pairs(pairs).for_each(|(field, value)| visit(field, value)),
            Form::Table(table) => table.pairs().for_each(|(field, value)| visit(field, value)),
        }
    }

    /// Calls `visit` with the pairs at these places, each below [`Hash::len`], in the order of `places`, which may name
    /// a place several times.  A place is one pair until the hash changes.
    pub fn visit_places(&self, places: &[usize], mut visit: impl FnMut(&[u8], &[u8])) {
        match &self.0 {
            Form::Packed { pairs, .. } => {
                let pairs: Vec<_> = packed_pairs(pairs).collect();
                places.iter().for_each(|&place| visit(pairs[place].0, pairs[place].1));
            }
            Form::Table(table) => places.iter().for_each(|&place| {
                let (field, value) = table.pair_at(place);
                visit(field, value);
            }),
        }
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A pair that is
    /// there from the first call to the last is visited at least once.  A packed hash is visited whole.
    pub fn scan(&self, cursor: u64, count: usize, visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match &self.0 {
            Form::Packed { .. } => {
                self.for_each(visit);
                0
            }
            Form::Table(table) => table.scan(cursor, count, visit),
        }
    }

    fn set(&mut self, field: &[u8], value: &[u8], limits: HashLimits, hasher: &KeyHasher) -> bool {
        if field.len().max(value.len()) > limits.value {
            self.make_table(hasher);
        }
        let is_new = match &mut self.0 {
            Form::Table(table) => return table.set(field, value),
            Form::Packed { pairs, length } => {
                let found = find_packed(pairs, field).map(|(_, value)| value.range);
                match found {
                    Some(range) => {
                        pairs.replace(range, value);
                        false
                    }
                    None => {
                        pairs.push(field);
                        pairs.push(value);
                        *length += 1;
                        true
                    }
                }
            }
        };
        if let Form::Packed { pairs, length } = &self.0
            && (*length > limits.entries || pairs.size() > PACKED_SIZE_MAX)
        {
            self.make_table(hasher);
        }
        is_new
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Form::Packed { pairs, length } => {
                let found = find_packed(pairs, field);
                let Some(range) = found.map(|(field, value)| field.range.start..value.range.end) else {
                    return false;
                };
                pairs.remove(range);
                *length -= 1;
                true
            }
            Form::Table(table) => table.remove(field),
        }
    }

    fn make_table(&mut self, hasher: &KeyHasher) {
        if let Form::Packed { pairs, .. } = &self.0 {
            let mut table = FieldTable::new(hasher.clone());
            packed_pairs(pairs).for_each(|(field, value)| {
                table.set(field, value);
            });
            self.0 = Form::Table(Box::new(table));
        }
    }
}

impl<'h> HashWriter<'h> {
    /// Writes to a hash within these limits.
    pub(in crate::store) fn new(
        hash: &'h mut Hash,
        limits: HashLimits,
        hasher: &'h KeyHasher,
    ) -> HashWriter<'h> {
        HashWriter { hash, limits, hasher, changed: false }
    }

    /// The hash as it is.
    pub fn hash(&self) -> &Hash {
        self.hash
    }

    /// Whether so many further fields can be added.
    pub fn has_room(&self, fields: usize) -> bool {
        fields <= fields::LENGTH_MAX - self.hash.len()
    }

    /// Writes the value of a field; true if the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.changed = true;
        self.hash.set(field, value, self.limits, self.hasher)
    }

    /// Removes a field; false if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let is_removed = self.hash.remove(field);
        self.changed |= is_removed;
        is_removed
    }

    /// Whether anything was written or removed.
    pub(in crate::store) fn has_changed(&self) -> bool {
        self.changed
    }
}

fn packed_pairs(pairs: &Packed) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut items = pairs.items();
    std::iter::from_fn(move || Some((items.next()?.bytes, items.next()?.bytes)))
}

/// A field and its value.
fn find_packed<'p>(pairs: &'p Packed, field: &[u8]) -> Option<(Item<'p>, Item<'p>)> {
    let mut items = pairs.items();
    while let Some(found) = items.next() {
        let value = items.next()?;
        if found.bytes == field {
            return Some((found, value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u16, usize),
        Remove(u16),
        Copy,
        Limit(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0_u16..200, 0_usize..40).prop_map(|(field, length)| Step::Set(field, length)),
            6 => (0_u16..200).prop_map(Step::Remove),
            1 => Just(Step::Copy),
            1 => (0_usize..80, 0_usize..60).prop_map(|(entries, value)| Step::Limit(entries, value)),
        ]
    }

    fn assert_same(hash: &Hash, model: &Model) {
        let mut held = Model::new();
        hash.for_each(|field, value| assert!(held.insert(field.to_vec(), value.to_vec()).is_none()));
        assert_eq!(&held, model);
        assert_eq!(hash.len(), model.len());
        let places: Vec<usize> = (0..hash.len()).collect();
        let mut visited = 0;
        hash.visit_places(&places, |field, value| {
            assert_eq!(model.get(field).map(Vec::as_slice), Some(value));
            visited += 1;
        });
        assert_eq!(visited, hash.len());
        if let Form::Table(table) = &hash.0 {
            assert_eq!(table.memory(), table.recounted_memory());
        }
    }

    proptest! {
        #[test]
        fn a_hash_is_a_map_in_either_form(steps in proptest::collection::vec(step(), 1..400)) {
            let hasher = KeyHasher::new(5);
            let mut limits = HashLimits { entries: 40, value: 30 };
            let (mut hash, mut model) = (Hash::new(), Model::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Set(field, length) => {
                        let (field, value) = (field.to_string().into_bytes(), vec![number as u8; length]);
                        let is_new = hash.set(&field, &value, limits, &hasher);
                        let may_be_packed = value.len().max(field.len()) <= limits.value;
                        prop_assert_eq!(is_new, model.insert(field.clone(), value).is_none());
                        prop_assert_eq!(hash.get(&field), model.get(&field).map(Vec::as_slice));
                        let is_packed = hash.encoding() == "listpack";
                        prop_assert!(!is_packed || may_be_packed && hash.len() <= limits.entries);
                    }
                    Step::Remove(field) => {
                        let field = field.to_string().into_bytes();
                        prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                        prop_assert_eq!(hash.get(&field), None);
                    }
                    Step::Copy => {
                        let copy = hash.clone();
                        prop_assert_eq!(copy.encoding(), hash.encoding());
                        hash = copy;
                    }
                    Step::Limit(entries, value) => limits = HashLimits { entries, value },
                }
                if number % 16 == 0 {
                    assert_same(&hash, &model);
                }
            }
            assert_same(&hash, &model);
            for field in model.keys() {
                prop_assert!(hash.remove(field));
            }
            prop_assert!(hash.is_empty());
        }

        /// A field that is in the hash from the first step of a scan to the last is seen, whatever is added and removed
        /// between.
        #[test]
        fn a_scan_sees_what_stays(
            stays in proptest::collection::btree_set(0_u32..800, 1..100),
            churn in proptest::collection::vec((any::<bool>(), 0_u32..800, 1_u32..200), 0..30),
            count in 1_usize..20,
        ) {
            let (hasher, limits) = (KeyHasher::new(9), HashLimits { entries: 0, value: 0 });
            let mut hash = Hash::new();
            for number in 0_u32..800 {
                if stays.contains(&number) || number % 3 == 0 {
                    hash.set(&number.to_be_bytes(), b"", limits, &hasher);
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            let (mut cursor, mut churn) = (0, churn.into_iter());
            loop {
                cursor = hash.scan(cursor, count, |field, _| {
                    seen.insert(field.to_vec());
                });
                if cursor == 0 {
                    break;
                }
                let Some((adds, first, numbers)) = churn.next() else { continue };
                for number in (first..first + numbers).filter(|number| !stays.contains(number)) {
                    if adds {
                        hash.set(&number.to_be_bytes(), b"", limits, &hasher);
                    } else {
                        hash.remove(&number.to_be_bytes());
                    }
                }
            }
            for number in stays {
                prop_assert!(seen.contains(number.to_be_bytes().as_slice()), "field {number} was not seen");
            }
        }
    }

    #[test]
    fn a_packed_hash_takes_little_more_than_its_bytes() {
        let (hasher, limits) = (KeyHasher::new(1), HashLimits { entries: 512, value: 64 });
        let mut hash = Hash::new();
        for number in 0..100 {
            hash.set(format!("field:{number:02}").as_bytes(), &[7; 20], limits, &hasher);
        }
        assert_eq!(hash.encoding(), "listpack");
        assert!((3_000..3_600).contains(&hash.memory()), "{}", hash.memory());
    }

    #[test]
    fn a_packed_hash_has_a_most_of_bytes() {
        let (hasher, limits) = (KeyHasher::new(1), HashLimits { entries: usize::MAX, value: usize::MAX });
        let mut hash = Hash::new();
        hash.set(b"field", &vec![7; PACKED_SIZE_MAX - 10], limits, &hasher);
        assert_eq!(hash.encoding(), "listpack");
        hash.set(b"other", &[7; 20], limits, &hasher);
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 2));
    }
}
