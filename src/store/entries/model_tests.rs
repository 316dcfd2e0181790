//! The files with `unsafe` code, exercised at random against plain models: an entry against a struct, the table against a
//! map, the table with its indexes against a map with deadlines.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use proptest::prelude::*;

use super::table::Table;
use super::{Entries, Entry, EntryRef, INLINE_VALUE_MAX, Position};
use crate::store::hash::KeyHasher;
use crate::store::object::{Encoded, FieldTable, Object, PACKED_SIZE_MAX, PackedKind, Parts};
use crate::store::value::{ContentType, Value, ValueType, WrongType};

/// Where an entry was found.
fn at((position, _): (Position, EntryRef<'_>)) -> Position {
    position
}

/// The values that an entry should hold.
#[derive(Clone, Debug)]
struct Model {
    key: Vec<u8>,
    value_type: ValueType,
    value: Vec<u8>,
    content_type: Option<String>,
    deadline: Option<u64>,
    recency: u32,
    modified: bool,
}

impl Model {
    /// The effect of every write of a string.
    fn write(&mut self, value: Vec<u8>) {
        *self = Model {
            value_type: ValueType::String,
            value,
            content_type: None,
            modified: false,
            ..self.clone()
        };
    }
}

#[derive(Clone, Debug)]
enum Change {
    Value(Vec<u8>),
    Shared(Vec<u8>, Option<String>),
    Refresh(Vec<u8>, u64),
    Copy(Vec<u8>),
    Modified,
    Append(Vec<u8>),
    Rename(Vec<u8>),
    Field(Vec<u8>),
    Deadline(Option<u64>),
    Recency(u32),
    TakeAndWrite,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40),
        2 => (INLINE_VALUE_MAX - 3..INLINE_VALUE_MAX + 4).prop_map(|length| vec![7; length]),
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (65_533_usize..65_540).prop_map(|length| vec![b'k'; length]),
    ]
}

fn deadline() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1_u64..1 << 43).prop_map(Some), ((1_u64 << 43)..u64::MAX).prop_map(Some)]
}

fn content_type() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        3 => Just(None),
        2 => "[a-zé]{0,20}/[a-z]{0,20}".prop_map(Some),
        1 => (254_usize..256).prop_map(|length| Some("t".repeat(length))),
    ]
}

fn value_type() -> impl Strategy<Value = ValueType> {
    prop_oneof![
        2 => Just(ValueType::String),
        1 => Just(ValueType::Pinned),
        1 => Just(ValueType::Hash),
    ]
}

fn made(model: &Model) -> Entry {
    match model.value_type {
        ValueType::Pinned => Entry::new_pinned(&model.key, &model.value, model.deadline),
        ValueType::Hash => {
            let mut entry = Entry::new_packed(&model.key, PackedKind::Hash, model.deadline);
            set_field(&mut entry, &model.value);
            entry
        }
        ValueType::String => Entry::new(&model.key, &model.value, model.deadline),
        other => unreachable!("{other:?} is kept as a hash is"),
    }
}

/// Writes the one field of a hash.
fn set_field(entry: &mut Entry, value: &[u8]) {
    if let Some(packed) = entry.view().packed() {
        let range = 0..packed.size();
        if value.len() < 100 || value.len() + 10 < PACKED_SIZE_MAX && value.len().is_multiple_of(2) {
            let (field, value) = (Encoded::new(b"field"), Encoded::new(value));
            return entry.splice_packed(range, &[field.pieces(), value.pieces()].concat(), 2);
        }
        entry.set_object(Box::new(Object::Hash(Box::new(FieldTable::new(KeyHasher::new(1))))));
    }
    let Some(Object::Hash(table)) = entry.object_mut() else { unreachable!("it was just put there") };
    table.set(b"field", value);
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        bytes().prop_map(Change::Value),
        (bytes(), content_type()).prop_map(|(value, content_type)| Change::Shared(value, content_type)),
        (proptest::collection::vec(any::<u8>(), 0..12), 1_u64..1 << 45)
            .prop_map(|(state, deadline)| Change::Refresh(state, deadline)),
        key().prop_map(Change::Copy),
        key().prop_map(Change::Rename),
        bytes().prop_map(Change::Field),
        Just(Change::Modified),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Change::Append),
        deadline().prop_map(Change::Deadline),
        (0_u32..1 << 24).prop_map(Change::Recency),
        Just(Change::TakeAndWrite),
    ]
}

fn assert_same(entry: &Entry, model: &Model) {
    let view = entry.view();
    assert_eq!(view.key(), model.key);
    let is_hash = model.value_type == ValueType::Hash;
    assert_eq!(view.bytes(), if is_hash { &[][..] } else { &model.value });
    assert_eq!(view.parts().is_ok(), is_hash);
    assert_eq!(view.value_type(), model.value_type);
    assert_eq!(view.content_type(), model.content_type.as_deref());
    assert_eq!(view.deadline(), model.deadline);
    assert_eq!(view.recency(), model.recency);
    assert_eq!(view.is_modified(), model.modified);
    match model.value_type {
        ValueType::String => {
            assert_eq!(view.string().map(Value::bytes), Ok(model.value.as_slice()));
            assert_eq!(view.pinned_state(), Err(WrongType));
        }
        ValueType::Pinned => {
            assert_eq!(view.string().map(Value::bytes), Err(WrongType));
            assert_eq!(view.pinned_state(), Ok(model.value.as_slice()));
        }
        ValueType::Hash => {
            assert_eq!(view.string().map(Value::bytes), Err(WrongType));
            let hash = view.parts().and_then(Parts::hash).expect("it is a hash");
            assert_eq!(hash.get(b"field").as_deref(), Some(model.value.as_slice()));
        }
        other => unreachable!("{other:?} is kept as a hash is"),
    }
    let is_shared = matches!(view.string(), Ok(Value::Shared(_)));
    assert_eq!(is_shared, model.value.len() > INLINE_VALUE_MAX && !is_hash);
    let content_type = model.content_type.as_ref().map_or(0, |text| 1 + text.len());
    let bytes = model.key.len() + model.value.len() + content_type;
    let object = view.object().map_or(model.value.len() / 4, Object::memory);
    assert!((bytes + 8..=bytes + 96 + object).contains(&view.memory()), "{bytes} {}", view.memory());
}

proptest! {
    #[test]
    fn entries_hold_what_was_put_into_them(
        key in key(),
        value_type in value_type(),
        mut value in bytes(),
        deadline in deadline(),
        changes in proptest::collection::vec(change(), 0..12),
    ) {
        if value_type == ValueType::Pinned {
            value.truncate(INLINE_VALUE_MAX);
        }
        let mut model = Model { key, value_type, value, content_type: None, deadline, recency: 0, modified: false };
        let mut entry = made(&model);
        assert_same(&entry, &model);
        for change in changes {
            match change {
                Change::Value(value) => {
                    entry.set_value(&value);
                    model.write(value);
                }
                Change::Shared(value, content_type) => {
                    let kept = content_type.as_deref().and_then(ContentType::new);
                    entry.set_shared(Bytes::from(value.clone()), kept);
                    model.write(value);
                    model.content_type = content_type;
                }
                Change::Refresh(state, deadline) => {
                    let length = state.len();
                    if entry.refresh_pinned_state(&state, deadline) {
                        assert!(model.value_type == ValueType::Pinned && model.value.len() == length);
                        assert!(model.deadline.is_some_and(|old| old <= deadline));
                        model.value = state;
                        model.deadline = Some(deadline);
                    }
                }
                Change::Copy(key) => {
                    entry = entry.view().copied_to(&key);
                    model.key = key;
                    model.recency = 0;
                }
                Change::Rename(key) => {
                    entry = entry.renamed(&key);
                    model.key = key;
                    model.recency = 0;
                }
                Change::Field(value) => {
                    if entry.view().parts().is_ok() {
                        assert_eq!(model.value_type, ValueType::Hash);
                        set_field(&mut entry, &value);
                        model.value = value;
                    }
                }
                Change::Modified => {
                    entry.mark_modified();
                    model.modified = true;
                }
                Change::Append(suffix) => {
                    if entry.append_in_place(&suffix) {
                        assert!(model.value_type == ValueType::String && model.content_type.is_none());
                        model.value.extend_from_slice(&suffix);
                        model.modified = true;
                    }
                }
                Change::Deadline(deadline) => {
                    entry.set_deadline(deadline);
                    model.deadline = deadline;
                }
                Change::Recency(recency) => {
                    entry.set_recency(recency);
                    model.recency = recency;
                }
                Change::TakeAndWrite => {
                    if let Some(shared) = entry.take_shared() {
                        assert_eq!(shared, model.value);
                        entry.set_shared(shared.clone(), None);
                        model.write(shared.to_vec());
                    }
                }
            }
            assert_same(&entry, &model);
        }
    }

    /// Keys come from a small range so that removals hit; hashes lose bits so that tags and buckets collide.
    #[test]
    fn the_table_is_a_map(
        steps in proptest::collection::vec((0_u16..600, any::<bool>()), 1..2500),
        lost_bits in prop_oneof![Just(0_u32), Just(40), Just(58), Just(64)],
    ) {
        let hasher = KeyHasher::new(7);
        let hash_of = |key: &[u8]| hasher.hash(key).checked_shr(lost_bits).unwrap_or(0);
        let mut table = Table::default();
        let mut model = BTreeMap::new();
        for (number, insert) in steps {
            let key = number.to_be_bytes();
            let hash = hash_of(&key);
            let found = table.find(hash, |entry| entry.key() == key).map(at);
            assert_eq!(found.is_some(), model.contains_key(&number));
            match (found, insert) {
                (None, true) => {
                    table.insert(hash, Entry::new(&key, b"value", None), hash_of);
                    model.insert(number, ());
                }
                (Some(position), true) => {
                    table.modify(position, |entry| entry.set_value(&[1; 70]));
                    assert_eq!(table.get(position).bytes(), [1; 70]);
                }
                (Some(position), false) => {
                    assert_eq!(table.remove(position, hash, hash_of).view().key(), key);
                    model.remove(&number);
                }
                (None, false) => {}
            }
            assert_eq!(table.len(), model.len());
        }
        let mut seen = BTreeSet::new();
        table.for_each(|entry| assert!(seen.insert(entry.key().to_vec())));
        assert_eq!(seen.len(), model.len());
    }

    /// An entry that is in the table from the first step of a scan to the last is seen, whatever is added and removed between.
    #[test]
    fn a_scan_sees_what_stays(
        stay in 1_u32..400,
        churn in proptest::collection::vec((any::<bool>(), 1_u32..120), 0..60),
    ) {
        let hasher = KeyHasher::new(11);
        let hash_of = |key: &[u8]| hasher.hash(key);
        let mut table = Table::default();
        let add = |table: &mut Table, number: u32| {
            let key = number.to_be_bytes();
            if table.find(hash_of(&key), |entry| entry.key() == key).is_none() {
                table.insert(hash_of(&key), Entry::new(&key, b"", None), hash_of);
            }
        };
        for number in 0..stay {
            add(&mut table, number);
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut churn = churn.into_iter();
        loop {
            cursor = table.scan(cursor, |entry| {
                seen.insert(entry.key().to_vec());
            });
            if cursor == 0 {
                break;
            }
            let Some((grow, count)) = churn.next() else { continue };
            for number in stay..stay + count * 8 {
                if grow {
                    add(&mut table, number);
                } else {
                    let key = number.to_be_bytes();
                    if let Some(position) = table.find(hash_of(&key), |entry| entry.key() == key).map(at) {
                        table.remove(position, hash_of(&key), hash_of);
                    }
                }
            }
        }
        for number in 0..stay {
            assert!(seen.contains(number.to_be_bytes().as_slice()), "key {number} of {stay} was not seen");
        }
    }
}

/// A step with one of a few keys.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8, Option<u64>, bool),
    Remove(u8),
    Deadline(u8, Option<u64>),
    Value(u8, usize),
    Panic(u8, usize),
    Due(u64),
}

fn entries_step() -> impl Strategy<Value = Step> {
    let key = || 0_u8..60;
    prop_oneof![
        6 => (key(), deadline(), any::<bool>()).prop_map(|(key, deadline, pins)| Step::Insert(key, deadline, pins)),
        2 => key().prop_map(Step::Remove),
        4 => (key(), deadline()).prop_map(|(key, deadline)| Step::Deadline(key, deadline)),
        3 => (key(), 0_usize..100).prop_map(|(key, length)| Step::Value(key, length)),
        1 => (key(), 0_usize..100).prop_map(|(key, length)| Step::Panic(key, length)),
        1 => (1_u64..1 << 43).prop_map(Step::Due),
    ]
}

proptest! {
    /// Deadlines with whether the entry is pinned.
    #[test]
    fn entries_are_a_map_with_deadlines(steps in proptest::collection::vec(entries_step(), 1..120)) {
        let hasher = KeyHasher::new(3);
        let mut entries = Entries::default();
        let mut model: BTreeMap<u8, (Option<u64>, bool)> = BTreeMap::new();
        for step in steps {
            let position = |key: u8| entries.find(hasher.hash(&[key]), &[key]).map(at);
            match step {
                Step::Insert(key, deadline, pins) => {
                    if position(key).is_none() {
                        let new = if pins { Entry::new_pinned } else { Entry::new };
                        entries.insert(hasher.hash(&[key]), new(&[key], b"value", deadline), &hasher);
                        model.insert(key, (deadline, pins));
                    }
                }
                Step::Remove(key) => {
                    let found = position(key);
                    prop_assert_eq!(found.is_some(), model.remove(&key).is_some());
                    if let Some(position) = found {
                        drop(entries.remove(position, hasher.hash(&[key]), &hasher));
                    }
                }
                Step::Deadline(key, deadline) => {
                    if let Some(position) = position(key) {
                        entries.set_deadline(position, deadline);
                        model.get_mut(&key).expect("it is there").0 = deadline;
                    }
                }
                Step::Value(key, length) | Step::Panic(key, length) => {
                    let found = position(key).filter(|_| !model[&key].1);
                    if let Some(position) = found {
                        let panics = matches!(step, Step::Panic(..));
                        let change = || entries.modify(position, |entry| {
                            entry.set_value(&vec![7; length]);
                            if panics {
                                // Without a message on standard error.
                                std::panic::resume_unwind(Box::new(()));
                            }
                        });
                        let changed = catch_unwind(AssertUnwindSafe(change));
                        prop_assert_eq!(changed.is_err(), panics);
                        prop_assert_eq!(entries.get(position).bytes(), vec![7; length]);
                    }
                }
                Step::Due(now) => {
                    while let Some((position, hash)) = entries.due(now, &hasher) {
                        let entry = entries.remove(position, hash, &hasher);
                        let (deadline, _) = model.remove(&entry.view().key()[0]).expect("it is there");
                        prop_assert!(deadline.is_some_and(|deadline| deadline < now));
                    }
                    prop_assert!(model.values().all(|(deadline, _)| deadline.is_none_or(|deadline| deadline >= now)));
                }
            }
            let (mut seen, mut memory) = (BTreeMap::new(), 0);
            entries.for_each(|entry| {
                seen.insert(entry.key()[0], (entry.deadline(), entry.is_pinned()));
                memory += entry.memory();
            });
            prop_assert_eq!(&seen, &model);
            prop_assert_eq!(entries.entry_memory(), memory);
            let near = model.values().filter(|(deadline, _)| deadline.is_some_and(Entry::is_indexable)).count();
            prop_assert_eq!(entries.volatile_len(), near);
            prop_assert_eq!(entries.pinned_len(), model.values().filter(|(_, pins)| *pins).count());
        }
    }
}

/// Without the table's care the slot would lead to memory that the change has freed.
#[test]
fn a_change_that_panics_leaves_the_table_whole() {
    let hash_of = |_: &[u8]| 7;
    let mut table = Table::default();
    table.insert(7, Entry::new(b"key", b"short", None), hash_of);
    let position = table.find(7, |_| true).map(at).expect("it is there");
    let change = || {
        table.modify(position, |entry| {
            entry.set_value(&[1; 500]);
            std::panic::resume_unwind(Box::new(()));
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
    assert_eq!(table.get(position).bytes(), [1; 500]);
    assert_eq!(table.remove(position, 7, hash_of).view().key(), b"key");
}

#[test]
fn a_position_that_is_out_of_date_is_found_out() {
    let hash_of = |_: &[u8]| 7;
    let mut table = Table::default();
    table.insert(7, Entry::new(b"key", b"value", None), hash_of);
    let position = table.find(7, |_| true).map(at).expect("it is there");
    drop(table.remove(position, 7, hash_of));
    assert!(catch_unwind(AssertUnwindSafe(|| table.get(position).key().len())).is_err());
}
