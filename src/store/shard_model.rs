//! A shard exercised at random against a plain map: values, deadlines, expiry, and the memory accounts.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::entries::{Deadline, EntryRef, INLINE_VALUE_MAX};
use super::hash::KeyHasher;
use super::lifetime::{Lifetime, LifetimeBounds};
use super::object::FIELD_DEADLINE_MAX;
use super::objects::HashLimits;
use super::recency::{AccessContext, Recency};
use super::shard::{Key, Shard};
use super::value::{ContentType, ValueType, WrongType};

/// Keys come from a small range so that steps meet.
const KEYS: u8 = 40;

/// A deadline that no expiry index holds.
const FAR: u64 = 1 << 44;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, usize, Lifetime),
    SetTyped(u8, usize, Lifetime),
    SetField(u8, u8, usize),
    RemoveField(u8, u8),
    FieldDeadline(u8, u8, Option<u64>),
    Pin(u8, usize, Option<u64>),
    Append(u8, usize),
    Edit(u8, usize),
    Remove(u8),
    Move(u8, u8),
    Deadline(u8, Option<u64>),
    Look(u8),
    Evict(u8),
    Wait(u64),
    Expire(usize),
    Clear,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..60, 1 => INLINE_VALUE_MAX - 20..INLINE_VALUE_MAX + 20]
}

fn deadline() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1_u64..500, 1 => FAR - 2..FAR + 2, 1 => Just(u64::MAX)]
}

fn lifetime_of(deadline: impl Strategy<Value = u64>) -> impl Strategy<Value = Lifetime> {
    prop_oneof![Just(Lifetime::Keep), Just(Lifetime::Forever), deadline.prop_map(Lifetime::Until)]
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS;
    prop_oneof![
        6 => (key(), length(), lifetime_of(deadline())).prop_map(|(key, length, lifetime)| Step::Set(key, length, lifetime)),
        2 => (key(), length(), lifetime_of(deadline()))
            .prop_map(|(key, length, lifetime)| Step::SetTyped(key, length, lifetime)),
        6 => (key(), 0_usize..3, proptest::option::of(deadline()))
            .prop_map(|(key, words, deadline)| Step::Pin(key, words * 8, deadline)),
        3 => (key(), length()).prop_map(|(key, length)| Step::Append(key, length)),
        2 => (key(), length()).prop_map(|(key, length)| Step::Edit(key, length)),
        6 => (key(), 0_u8..12, 0_usize..40).prop_map(|(key, field, length)| Step::SetField(key, field, length)),
        3 => (key(), 0_u8..12).prop_map(|(key, field)| Step::RemoveField(key, field)),
        6 => (key(), 0_u8..12, proptest::option::of(deadline()))
            .prop_map(|(key, field, deadline)| Step::FieldDeadline(key, field, deadline)),
        2 => key().prop_map(Step::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Step::Move(from, to)),
        4 => (key(), proptest::option::of(deadline())).prop_map(|(key, deadline)| Step::Deadline(key, deadline)),
        2 => key().prop_map(Step::Look),
        1 => key().prop_map(Step::Evict),
        2 => (0_u64..60).prop_map(Step::Wait),
        2 => (1_usize..20).prop_map(Step::Expire),
        1 => Just(Step::Clear),
    ]
}

/// The value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    value_type: ValueType,
    bytes: Vec<u8>,
    is_typed: bool,
    /// The fields with their values and deadlines.
    fields: BTreeMap<u8, (Vec<u8>, Option<u64>)>,
}

impl Held {
    fn string(bytes: Vec<u8>) -> Held {
        Held { value_type: ValueType::String, bytes, is_typed: false, fields: BTreeMap::new() }
    }

    fn of(entry: EntryRef<'_>) -> Held {
        let is_typed = entry.content_type().is_some_and(|text| text == CONTENT_TYPE);
        let mut fields = BTreeMap::new();
        if let Ok(parts) = entry.parts()
            && let Ok(hash) = parts.hash()
        {
            hash.for_each(|field, value| {
                let deadline = parts.field_deadline(field);
                assert!(fields.insert(field[0], (value.to_vec(), deadline)).is_none());
            });
        }
        Held { value_type: entry.value_type(), bytes: entry.bytes().to_vec(), is_typed, fields }
    }
}

/// Takes out what is gone at this time.
fn expire(model: &mut Model, now: u64) {
    let is_there = |deadline: &Option<u64>| deadline.is_none_or(|deadline| now <= deadline);
    model.retain(|_, (held, deadline)| {
        held.fields.retain(|_, (_, deadline)| is_there(deadline));
        is_there(deadline) && !(held.value_type == ValueType::Hash && held.fields.is_empty())
    });
}

/// Few and short enough fields that both forms of a hash occur.
const LIMITS: HashLimits = HashLimits { entries: 6, value: 30 };

const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The model: keys with their values and deadlines.
type Model = BTreeMap<u8, (Held, Option<u64>)>;

struct Pair {
    hasher: KeyHasher,
    shard: Shard,
    model: Model,
    access: AccessContext,
}

impl Pair {
    fn new() -> Pair {
        let hasher = KeyHasher::new(3);
        let access =
            AccessContext { now: 0, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED };
        Pair { shard: Shard::new(hasher.clone(), None, None), hasher, model: Model::new(), access }
    }

    fn apply(&mut self, step: Step) {
        let Pair { hasher, shard, model, access } = self;
        let key = |bytes: &'static [u8; 1]| Key { bytes, hash: hasher.hash(bytes) };
        let key = |number: u8| key(&NAMES[usize::from(number)]);
        let deadline_at = |deadline: u64| access.now.saturating_add(deadline);
        let deadline_of = |lifetime: Lifetime, old: Option<Deadline>| match lifetime {
            Lifetime::Keep => old,
            Lifetime::Forever => None,
            Lifetime::Until(deadline) => Some(deadline),
        };
        let from_now = |lifetime: Lifetime| match lifetime {
            Lifetime::Until(deadline) => Lifetime::Until(deadline_at(deadline)),
            other => other,
        };
        let now = access.now;
        // Whatever a step touches that is due goes first.
        expire(model, now);
        match step {
            Step::Set(number, length, lifetime) => {
                let value = vec![number; length];
                shard.set(&key(number), &value, from_now(lifetime), access);
                let old = model.get(&number).and_then(|(_, deadline)| *deadline);
                model.insert(number, (Held::string(value), deadline_of(from_now(lifetime), old)));
            }
            Step::SetTyped(number, length, lifetime) => {
                let value = vec![number; length];
                let shared = Bytes::from(value.clone());
                let content_type = ContentType::new(CONTENT_TYPE);
                shard.set_typed(&key(number), shared, content_type, from_now(lifetime), access);
                let old = model.get(&number).and_then(|(_, deadline)| *deadline);
                let held = Held { is_typed: true, ..Held::string(value) };
                model.insert(number, (held, deadline_of(from_now(lifetime), old)));
            }
            Step::Pin(number, length, deadline) => {
                let deadline = deadline.map(deadline_at);
                let state = vec![number; length];
                shard.set_pinned_state(&key(number), &state, deadline, access);
                let held = Held { value_type: ValueType::Pinned, ..Held::string(state.clone()) };
                model.insert(number, (held, deadline));
                assert_eq!(shard.pinned_state(&key(number), access), Ok(Some(state.as_slice())));
            }
            Step::Append(number, length) => {
                let longer = shard.append(&key(number), &vec![7; length], access);
                match model.get_mut(&number) {
                    Some((held, _)) if held.value_type == ValueType::String => {
                        held.bytes.resize(held.bytes.len() + length, 7);
                        held.is_typed = false;
                        assert_eq!(longer, Ok(Some(held.bytes.len())));
                    }
                    Some(_) => assert_eq!(longer, Err(WrongType)),
                    None => assert_eq!(longer, Ok(None)),
                }
            }
            Step::Edit(number, length) => {
                let edited = shard.edit(&key(number), access, |bytes| bytes.resize(length, 9));
                match model.get_mut(&number) {
                    Some((held, _)) if held.value_type == ValueType::String => {
                        held.bytes.resize(length, 9);
                        held.is_typed = false;
                        assert_eq!(edited, Ok(Some(())));
                    }
                    Some(_) => assert_eq!(edited, Err(WrongType)),
                    None => assert_eq!(edited, Ok(None)),
                }
            }
            Step::SetField(number, field, length) => {
                let value = vec![number; length];
                let is_new =
                    shard.write_hash(&key(number), LIMITS, access, |hash| hash.set(&[field], &value));
                let empty = Held { value_type: ValueType::Hash, ..Held::string(Vec::new()) };
                let (held, _) = model.entry(number).or_insert((empty, None));
                if held.value_type == ValueType::Hash {
                    assert_eq!(is_new, Ok(held.fields.insert(field, (value, None)).is_none()));
                } else {
                    assert_eq!(is_new, Err(WrongType));
                }
            }
            Step::RemoveField(number, field) => {
                let is_removed = shard.write_hash(&key(number), LIMITS, access, |hash| hash.remove(&[field]));
                match model.get_mut(&number) {
                    Some((held, _)) if held.value_type == ValueType::Hash => {
                        assert_eq!(is_removed, Ok(held.fields.remove(&field).is_some()));
                        if held.fields.is_empty() {
                            model.remove(&number);
                        }
                    }
                    Some(_) => assert_eq!(is_removed, Err(WrongType)),
                    None => assert_eq!(is_removed, Ok(false)),
                }
            }
            Step::FieldDeadline(number, field, deadline) => {
                let deadline = deadline.map(|deadline| deadline_at(deadline).min(FIELD_DEADLINE_MAX));
                let is_there = shard
                    .write_hash(&key(number), LIMITS, access, |hash| hash.set_deadline(&[field], deadline));
                match model.get_mut(&number) {
                    Some((held, _)) if held.value_type == ValueType::Hash => {
                        let found = held.fields.get_mut(&field).map(|(_, old)| *old = deadline);
                        assert_eq!(is_there, Ok(found.is_some()));
                    }
                    Some(_) => assert_eq!(is_there, Err(WrongType)),
                    None => assert_eq!(is_there, Ok(false)),
                }
            }
            Step::Remove(number) => {
                assert_eq!(shard.remove(&key(number), access), model.remove(&number).is_some());
            }
            Step::Move(from, to) => {
                let entry = shard.take(&key(from), access);
                let moved = model.remove(&from);
                assert_eq!(entry.is_some(), moved.is_some());
                if let (Some(entry), Some(moved)) = (entry, moved) {
                    let entry = entry.view().copied_to(key(to).bytes);
                    shard.insert_entry(&key(to), entry, access);
                    model.insert(to, moved);
                }
            }
            Step::Deadline(number, deadline) => {
                let deadline = deadline.map(deadline_at);
                let known = shard.set_deadline(&key(number), deadline, access);
                assert_eq!(known, model.contains_key(&number));
                if let Some((_, old)) = model.get_mut(&number) {
                    *old = deadline;
                }
            }
            Step::Look(number) => {
                let entry = shard.read(&key(number), access);
                let seen = entry.map(|entry| (Held::of(entry), entry.deadline()));
                assert_eq!(seen.as_ref(), model.get(&number));
            }
            Step::Evict(number) => {
                shard.evict(key(number).hash, key(number).bytes);
                model.remove(&number);
            }
            Step::Wait(time) => access.now += time,
            Step::Expire(limit) => {
                let removed = shard.expire_due(access, limit);
                let mut due = 0;
                shard.entries.for_each(|entry| due += usize::from(entry.is_due(now)));
                assert!(removed == limit || due == 0, "{due} keys are due and were not found");
            }
            Step::Clear => {
                drop(shard.clear());
                model.clear();
            }
        }
        self.assert_same();
    }

    fn assert_same(&self) {
        let mut held = Model::new();
        let (mut memory, mut indexed, mut indexed_by_fields, mut counters) = (0, 0, 0, 0);
        self.shard.entries.for_each(|entry| {
            memory += entry.memory();
            let has_own = entry.deadline().is_some();
            indexed += usize::from(entry.is_indexed() && has_own);
            indexed_by_fields += usize::from(entry.is_indexed() && !has_own);
            counters += usize::from(entry.value_type() == ValueType::Pinned);
            if !entry.is_expired(self.access.now) {
                held.insert(entry.key()[0], (Held::of(entry), entry.deadline()));
            }
        });
        // Fields that are due may lie there until they are looked at.
        expire(&mut held, self.access.now);
        let mut model = self.model.clone();
        expire(&mut model, self.access.now);
        assert_eq!(held, model);
        assert_eq!(self.shard.entries.volatile_by_fields_len(), indexed_by_fields);
        assert_eq!(self.shard.volatile_len(), indexed);
        assert_eq!(self.shard.pinned_len(), counters);
        assert_eq!(
            self.shard.memory(),
            memory + self.shard.entries.bucket_memory() + self.shard.entries.expiry_memory(),
            "the accounts differ from a recount"
        );
    }
}

/// One name per number.
static NAMES: [[u8; 1]; KEYS as usize] = {
    let mut names = [[0]; KEYS as usize];
    let mut number = 0;
    while number < KEYS {
        names[number as usize][0] = number;
        number += 1;
    }
    names
};

proptest! {
    #[test]
    fn a_shard_is_a_map_with_deadlines(steps in proptest::collection::vec(step(), 1..400)) {
        let mut pair = Pair::new();
        steps.into_iter().for_each(|step| pair.apply(step));
        (0..KEYS).for_each(|number| pair.apply(Step::Remove(number)));
        prop_assert!(pair.shard.is_empty() && pair.shard.volatile_len() == 0);
    }
}
