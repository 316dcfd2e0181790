//! Writing to hashes.
//!
//! A hash is packed while its pairs are few and short.  One that outgrows [`HashLimits`] becomes a table and stays one, as in
//! Redis.

use crate::store::entries::{Deadline, Entry};
use crate::store::hash::KeyHasher;
use crate::store::lifetime::Lifetime;
use crate::store::object::{
    Encoded, ExpiringHash, FieldTable, Hash, Object, PACKED_SIZE_MAX, PackedKind, ROW_LENGTH_MAX,
};
use crate::store::recency::AccessContext;
use crate::store::shard::{Key, Shard};
use crate::store::value::WrongType;

/// Up to where a hash is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashLimits {
    /// Most fields: the setting `hash-max-listpack-entries`.
    pub entries: usize,
    /// Most bytes of a field or a value: the setting `hash-max-listpack-value`.
    pub value: usize,
}

/// A hash that is written to.
pub struct HashWriter<'h> {
    entry: &'h mut Entry,
    limits: HashLimits,
    hasher: &'h KeyHasher,
    changed: bool,
}

impl Shard {
    /// Lets `write` change a hash, an empty one if there is no such key.  A hash that is left without fields is removed,
    /// and watchers are notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn write_hash<R>(
        &mut self,
        key: &Key<'_>,
        limits: HashLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut HashWriter<'_>) -> R,
    ) -> Result<R, WrongType> {
        self.write_parts(key, PackedKind::Hash, access, |entry, hasher| {
            let mut writer = HashWriter { entry, limits, hasher, changed: false };
            let result = write(&mut writer);
            (result, writer.changed)
        })
    }

    /// An entry for `key`, which is not put there, with the hash that `write` makes.
    ///
    /// # Errors
    /// The refusal of `write`.
    pub fn make_hash<E>(
        &self,
        key: &Key<'_>,
        limits: HashLimits,
        lifetime: Lifetime,
        access: &AccessContext,
        write: impl FnOnce(&mut HashWriter<'_>) -> Result<(), E>,
    ) -> Result<Entry, E> {
        self.make_parts(key, PackedKind::Hash, lifetime, access, |entry, hasher| {
            write(&mut HashWriter { entry, limits, hasher, changed: false })
        })
    }
}

impl HashWriter<'_> {
    /// The hash as it is.
    pub fn hash(&self) -> Hash<'_> {
        self.entry.view().parts().and_then(|parts| parts.hash()).expect("the entry is that of a hash")
    }

    /// Whether so many further fields can be added.
    pub fn has_room(&self, fields: usize) -> bool {
        fields <= ROW_LENGTH_MAX - self.hash().len()
    }

    /// When a field is gone; none if it has no deadline.
    pub fn deadline(&self, field: &[u8]) -> Option<Deadline> {
        self.entry.view().expiring_hash()?.deadline(field)
    }

    /// Writes the value of a field, which has no deadline from here on; true if the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let hasher = self.hasher;
        if let Some(hash) = self.expiring() {
            hash.set_deadline(field, None, hasher);
        }
        self.set_value(field, value)
    }

    /// Changes or removes the deadline of a field; false if there is no such field.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<Deadline>) -> bool {
        if self.hash().get(field).is_none() {
            return false;
        }
        if self.deadline(field) != deadline {
            self.changed = true;
            self.make_expiring();
            let hasher = self.hasher;
            self.expiring().expect("it was just made").set_deadline(field, deadline, hasher);
        }
        true
    }

    /// Writes the value of a field, which keeps its deadline; true if the field is new.
    pub fn set_value(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.changed = true;
        let is_short = field.len().max(value.len()) <= self.limits.value.min(PACKED_SIZE_MAX);
        let (packed_max, hasher) = (if is_short { self.limits.entries } else { 0 }, self.hasher);
        if let Some(hash) = self.expiring() {
            return hash.set(field, value, packed_max, hasher);
        }
        if let Some(table) = self.table() {
            return table.set(field, value);
        }
        if is_short && let Some(is_new) = self.set_packed(field, value) {
            return is_new;
        }
        self.make_table();
        self.table().expect("it was just made").set(field, value)
    }

    /// Removes a field; false if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let is_removed = if let Some(hash) = self.expiring() {
            hash.remove(field)
        } else if let Some(table) = self.table() {
            table.remove(field)
        } else {
            self.remove_packed(field)
        };
        self.changed |= is_removed;
        is_removed
    }

    fn expiring(&mut self) -> Option<&mut ExpiringHash> {
        match self.entry.object_mut()? {
            Object::ExpiringHash(hash) => Some(hash),
            _ => None,
        }
    }

    /// Makes it a hash whose fields may have deadlines.  It stays packed if it is.
    fn make_expiring(&mut self) {
        if self.expiring().is_some() {
            return;
        }
        let key_deadline = self.entry.view().deadline();
        let hash = match self.table() {
            Some(table) => {
                let empty = table.empty();
                ExpiringHash::of_table(std::mem::replace(table, empty), key_deadline)
            }
            None => {
                let packed = self.entry.view().packed().expect("a hash that is no object is packed");
                ExpiringHash::of_packed(packed, key_deadline)
            }
        };
        self.entry.set_object(Box::new(Object::ExpiringHash(Box::new(hash))));
    }

    fn table(&mut self) -> Option<&mut FieldTable> {
        match self.entry.object_mut()? {
            Object::Hash(table) => Some(table),
            _ => None,
        }
    }

    /// Writes a pair into the packed form; none if there is no room for it.
    fn set_packed(&mut self, field: &[u8], value: &[u8]) -> Option<bool> {
        let packed = self.entry.view().packed()?;
        let (count, size) = (packed.count(), packed.size());
        let found = packed.find_pair(field).map(|(_, value)| value.range);
        let (field, value) = (Encoded::new(field), Encoded::new(value));
        let [[field_head, field], [value_head, value]] = [field.pieces(), value.pieces()];
        match found {
            Some(range) => {
                let added = value_head.len() + value.len();
                if count / 2 > self.limits.entries || size + added > PACKED_SIZE_MAX {
                    return None;
                }
                self.entry.splice_packed(range, &[value_head, value], count);
                Some(false)
            }
            None => {
                let pieces = [field_head, field, value_head, value];
                let added: usize = pieces.iter().map(|piece| piece.len()).sum();
                if count / 2 >= self.limits.entries || size + added > PACKED_SIZE_MAX {
                    return None;
                }
                self.entry.splice_packed(size..size, &pieces, count + 2);
                Some(true)
            }
        }
    }

    fn remove_packed(&mut self, field: &[u8]) -> bool {
        let packed = self.entry.view().packed();
        let found = packed.and_then(|packed| Some((packed.count(), packed.find_pair(field)?)));
        let Some((count, (field, value))) = found else { return false };
        self.entry.splice_packed(field.range.start..value.range.end, &[], count - 2);
        true
    }

    fn make_table(&mut self) {
        let mut table = FieldTable::new(self.hasher.clone());
        self.hash().for_each(|field, value| {
            table.set(field, value);
        });
        self.entry.set_object(Box::new(Object::Hash(Box::new(table))));
    }
}

#[cfg(test)]
impl<'h> HashWriter<'h> {
    /// Writes to the hash in an entry that is in no shard.
    pub(super) fn over(entry: &'h mut Entry, limits: HashLimits, hasher: &'h KeyHasher) -> HashWriter<'h> {
        HashWriter { entry, limits, hasher, changed: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::object::Pairs;

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
            1 => (0_u16..200, 250_usize..260).prop_map(|(field, length)| Step::Set(field, length)),
            6 => (0_u16..200).prop_map(Step::Remove),
            1 => Just(Step::Copy),
            1 => (0_usize..80, 0_usize..60).prop_map(|(entries, value)| Step::Limit(entries, value)),
        ]
    }

    /// A hash in an entry of its own.
    struct Sample {
        entry: Entry,
        hasher: KeyHasher,
        limits: HashLimits,
    }

    impl Sample {
        fn new(entries: usize, value: usize) -> Sample {
            let entry = Entry::new_packed(b"key", PackedKind::Hash, None);
            Sample { entry, hasher: KeyHasher::new(5), limits: HashLimits { entries, value } }
        }

        fn writer(&mut self) -> HashWriter<'_> {
            let Sample { entry, hasher, limits } = self;
            HashWriter { entry, limits: *limits, hasher, changed: false }
        }

        fn hash(&self) -> Hash<'_> {
            self.entry.view().parts().and_then(|parts| parts.hash()).expect("it is a hash")
        }

        fn encoding(&self) -> &'static str {
            self.entry.view().parts().map(|parts| parts.encoding()).expect("it is a hash")
        }
    }

    fn assert_same(sample: &Sample, model: &Model) {
        let hash = sample.hash();
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
        if let Hash::Plain(Pairs::Table(table)) = hash {
            table.check();
        }
    }

    proptest! {
        #[test]
        fn a_hash_is_a_map_in_either_form(steps in proptest::collection::vec(step(), 1..400)) {
            let (mut sample, mut model) = (Sample::new(40, 30), Model::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Set(field, length) => {
                        let (field, value) = (field.to_string().into_bytes(), vec![b'0' + (number % 40) as u8; length]);
                        let is_new = sample.writer().set(&field, &value);
                        let (limits, hash) = (sample.limits, sample.hash());
                        let may_be_packed = value.len().max(field.len()) <= limits.value;
                        prop_assert_eq!(is_new, model.insert(field.clone(), value).is_none());
                        assert_eq!(hash.get(&field).as_deref(), model.get(&field).map(Vec::as_slice));
                        let is_packed = sample.encoding() == "listpack";
                        prop_assert!(!is_packed || may_be_packed && hash.len() <= limits.entries);
                    }
                    Step::Remove(field) => {
                        let field = field.to_string().into_bytes();
                        prop_assert_eq!(sample.writer().remove(&field), model.remove(&field).is_some());
                        prop_assert!(sample.hash().get(&field).is_none());
                    }
                    Step::Copy => {
                        let copy = sample.entry.view().copied_to(b"copy");
                        prop_assert_eq!(copy.view().parts().map(|parts| parts.encoding()), Ok(sample.encoding()));
                        sample.entry = copy;
                    }
                    Step::Limit(entries, value) => sample.limits = HashLimits { entries, value },
                }
                if number % 16 == 0 {
                    assert_same(&sample, &model);
                }
            }
            assert_same(&sample, &model);
            for field in model.keys() {
                prop_assert!(sample.writer().remove(field));
            }
            prop_assert!(sample.hash().is_empty());
        }

        /// A field that is in the hash from the first step of a scan to the last is seen, whatever is added and removed
        /// between.
        #[test]
        fn a_scan_sees_what_stays(
            stays in proptest::collection::btree_set(0_u32..800, 1..100),
            churn in proptest::collection::vec((any::<bool>(), 0_u32..800, 1_u32..200), 0..30),
            count in 1_usize..20,
        ) {
            let mut sample = Sample::new(0, 0);
            for number in 0_u32..800 {
                if stays.contains(&number) || number % 3 == 0 {
                    sample.writer().set(&number.to_be_bytes(), b"");
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            let (mut cursor, mut churn) = (0, churn.into_iter());
            loop {
                cursor = sample.hash().scan(cursor, count, |field, _| {
                    seen.insert(field.to_vec());
                });
                if cursor == 0 {
                    break;
                }
                let Some((adds, first, numbers)) = churn.next() else { continue };
                for number in (first..first + numbers).filter(|number| !stays.contains(number)) {
                    if adds {
                        sample.writer().set(&number.to_be_bytes(), b"");
                    } else {
                        sample.writer().remove(&number.to_be_bytes());
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
        let mut sample = Sample::new(512, 64);
        for number in 0..100 {
            sample.writer().set(format!("field:{number:02}").as_bytes(), &[7; 20]);
        }
        assert_eq!(sample.encoding(), "listpack");
        assert!((3_000..3_300).contains(&sample.entry.view().memory()), "{}", sample.entry.view().memory());
        for number in 2..100 {
            sample.writer().remove(format!("field:{number:02}").as_bytes());
        }
        assert!(sample.entry.view().memory() < 200, "{}", sample.entry.view().memory());
    }

    #[test]
    fn a_packed_hash_has_a_most_of_bytes() {
        let mut sample = Sample::new(usize::MAX, usize::MAX);
        sample.writer().set(b"field", &vec![7; PACKED_SIZE_MAX - 9]);
        assert_eq!(
            (sample.encoding(), sample.entry.view().packed().map(|packed| packed.size())),
            ("listpack", Some(PACKED_SIZE_MAX))
        );
        sample.writer().set(b"other", b"");
        assert_eq!((sample.encoding(), sample.hash().len()), ("hashtable", 2));
    }

    #[test]
    fn a_number_is_found_whose_text_is_longer_than_the_packed_form() {
        let mut sample = Sample::new(512, usize::MAX);
        assert!(sample.writer().set(b"-9223372036854775808", b"1"));
        assert!(!sample.writer().set(b"-9223372036854775808", b"2"));
        assert!(!sample.writer().remove(&[7; 70_000]));
        assert!(sample.writer().set(b"long", &[7; 70_000]));
        assert_eq!(sample.encoding(), "hashtable");
        assert!(sample.writer().remove(b"-9223372036854775808"));
    }

    #[test]
    fn a_hash_of_ten_fields_with_its_key_takes_little() {
        let mut sample = Sample::new(512, 64);
        for number in 0..10 {
            sample
                .writer()
                .set(format!("field{number}").as_bytes(), format!("{:08}", 4711 + number).as_bytes());
        }
        // Ten times 6 and 8 bytes with two of lengths, and what is before them.
        assert!((160..=192).contains(&sample.entry.view().memory()), "{}", sample.entry.view().memory());
    }
}
