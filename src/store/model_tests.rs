//! The files with `unsafe` code, exercised at random against plain models: an entry against a plain struct, the table
//! against a map.  The expiry index has its model with the shard's, in `shard_model`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::entry::{Entry, INLINE_VALUE_MAX};
use super::hash::KeyHasher;
use super::object::{Hash, HashLimits, HashWriter, Object};
use super::table::Table;
use super::value::{ContentType, Value, ValueType, WrongType};

/// What an entry should hold.
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
    /// What every write of a string does.
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
    TakeAndRestore,
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
            let mut object = Box::new(Object::Hash(Hash::new()));
            set_field(&mut object, &model.value);
            Entry::new_object(&model.key, object, model.deadline)
        }
        ValueType::String => Entry::new(&model.key, &model.value, model.deadline),
    }
}

/// Writes the one field of an object.
fn set_field(object: &mut Object, value: &[u8]) {
    let limits = HashLimits { entries: 8, value: 20 };
    let hash = object.hash_mut().expect("it is a hash");
    HashWriter::new(hash, limits, &KeyHasher::new(1)).set(b"field", value);
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
        Just(Change::TakeAndRestore),
    ]
}

fn assert_same(entry: &Entry, model: &Model) {
    let view = entry.view();
    assert_eq!(view.key(), model.key);
    let is_hash = model.value_type == ValueType::Hash;
    assert_eq!(view.bytes(), if is_hash { &[][..] } else { &model.value });
    assert_eq!(view.object().is_ok(), is_hash);
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
            let value = view.object().and_then(Object::hash).map(|hash| hash.get(b"field"));
            assert_eq!(value, Ok(Some(model.value.as_slice())));
        }
    }
    let is_shared = matches!(view.string(), Ok(Value::Shared(_)));
    assert_eq!(is_shared, model.value.len() > INLINE_VALUE_MAX && !is_hash);
    let content_type = model.content_type.as_ref().map_or(0, |text| 1 + text.len());
    let bytes = model.key.len() + model.value.len() + content_type;
    let object = view.object().map_or(0, Object::memory);
    assert!((bytes + 8..=bytes + 96 + object).contains(&view.memory()));
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
                    if let Some(object) = entry.object_mut() {
                        assert_eq!(model.value_type, ValueType::Hash);
                        set_field(object, &value);
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
                Change::TakeAndRestore => {
                    if let Some(shared) = entry.take_shared() {
                        assert_eq!(shared, model.value);
                        entry.restore_shared(shared);
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
            let found = table.find(hash, |entry| entry.key() == key);
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

    /// What is in the table from the first step of a scan to the last is seen, whatever comes and goes between.
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
                    if let Some(position) = table.find(hash_of(&key), |entry| entry.key() == key) {
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
