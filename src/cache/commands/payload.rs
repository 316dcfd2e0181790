//! Values of the store as payloads of Redis, and back.

use bytes::Bytes;
use quartet_protocol::rdb::{Fault, Kind, Part, Payload, Writer};
use quartet_protocol::resp::number::integer_text;

use super::{hashes, lists, sets, sorted_sets};
use crate::clock::Now;
use crate::command::Call;
use crate::refusal::Refusal;
use crate::store::{Element, Entry, EntryRef, Key, Lifetime, Side, ValueType, WrongType};

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Footer => Refusal::new("ERR DUMP payload version or checksum are wrong"),
            Fault::Format => Refusal::new("ERR Bad data format"),
            Fault::Foreign(what) => not_kept(what),
            Fault::TooLong => Refusal::VALUE_TOO_LONG,
        }
    }
}

/// The refusal of a payload that is right, and cannot be kept.
fn not_kept(what: &str) -> Refusal {
    Refusal::new(format!("ERR Bad data format: it is {what}, and Quartet cannot keep that under a key"))
}

/// The payload of the value that an entry holds.
///
/// # Errors
/// If it is pinned: only its service understands it.
pub(super) fn payload_of(entry: EntryRef<'_>, now: Now) -> Result<Vec<u8>, Refusal> {
    if let Ok(string) = entry.string() {
        return Ok(Writer::string(string.bytes()));
    }
    let parts = entry.parts()?;
    match parts.value_type() {
        ValueType::Hash => {
            let hash = parts.hash()?;
            let expires = |field: &[u8]| {
                let wall = parts.field_deadline(field).map(|deadline| now.wall_of_deadline(deadline));
                wall.map(|wall| u64::try_from(wall).unwrap_or(0))
            };
            let mut earliest: Option<u64> = None;
            hash.for_each(|field, _| earliest = earliest.into_iter().chain(expires(field)).min());
            if let Some(earliest) = earliest {
                let mut writer = Writer::expiring_hash(hash.len(), entry.memory(), earliest);
                hash.for_each(|field, value| {
                    writer.expires(expires(field));
                    writer.text(field);
                    writer.text(value);
                });
                return Ok(writer.finish());
            }
            let mut writer = Writer::new(Kind::Hash, hash.len(), entry.memory());
            hash.for_each(|field, value| {
                writer.text(field);
                writer.text(value);
            });
            Ok(writer.finish())
        }
        ValueType::List => {
            let list = parts.list()?;
            let mut writer = Writer::new(Kind::List, list.len(), entry.memory());
            list.elements_from(0).for_each(|element| match element {
                Element::Bytes(bytes) => writer.text(bytes),
                Element::Number(number) => writer.text(&integer_text(number)),
            });
            Ok(writer.finish())
        }
        ValueType::Set => {
            let set = parts.set()?;
            let mut writer = Writer::new(Kind::Set, set.len(), entry.memory());
            set.for_each(|member| writer.text(member));
            Ok(writer.finish())
        }
        ValueType::SortedSet => {
            let sorted_set = parts.sorted_set()?;
            let mut writer = Writer::new(Kind::SortedSet, sorted_set.len(), entry.memory());
            sorted_set.for_each(|member, score| {
                writer.text(member);
                writer.score(score);
            });
            Ok(writer.finish())
        }
        ValueType::String | ValueType::Pinned => Err(WrongType.into()),
    }
}

/// An entry for a key with the value of a payload.  Nothing is changed in the store.
///
/// # Errors
/// If the payload is damaged, or Quartet cannot keep what it holds.
pub(super) fn make_entry(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    match payload.kind() {
        Kind::String => make_string(call, key, payload, lifetime),
        Kind::Hash => make_hash(call, key, payload, lifetime),
        Kind::List => make_list(call, key, payload, lifetime),
        Kind::Set => make_set(call, key, payload, lifetime),
        Kind::SortedSet => make_sorted_set(call, key, payload, lifetime),
    }
}

fn make_string(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    let mut value = Bytes::new();
    payload.read(call.settings.max_value_size, |part| {
        if let Part::String(string) = part {
            value = string.into_owned().into();
        }
        Ok::<(), Refusal>(())
    })?;
    let access = call.keyspace.access;
    Ok(call.keyspace.shard(key).make_string(key, value, lifetime, &access))
}

fn make_list(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    let (limits, access) = (lists::limits(call), call.keyspace.access);
    let length_max = call.settings.max_value_size;
    call.keyspace.shard(key).make_list(key, limits, lifetime, &access, |list| {
        payload.read(length_max, |part| {
            let Part::Element(element) = part else { return Err(Fault::Format.into()) };
            list.push(Side::Right, element);
            Ok(())
        })
    })
}

fn make_hash(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    let (limits, access, now) = (hashes::limits(call), call.keyspace.access, call.now());
    let length_max = call.settings.max_value_size;
    call.keyspace.shard(key).make_hash(key, limits, lifetime, &access, |hash| {
        payload.read(length_max, |part| {
            let Part::Field { field, value, expires } = part else { return Err(Fault::Format.into()) };
            hashes::require_room(hash, 1)?;
            if !hash.set(field, value) {
                return Err(Fault::Format.into());
            }
            if let Some(expires) = expires {
                // A lookup removes a field whose deadline has passed.
                let wall = i64::try_from(expires).unwrap_or(i64::MAX);
                hash.set_deadline(field, Some(now.deadline_at_wall(wall).unwrap_or(0)));
            }
            Ok(())
        })
    })
}

fn make_set(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    let (limits, access) = (sets::limits(call), call.keyspace.access);
    let length_max = call.settings.max_value_size;
    call.keyspace.shard(key).make_set(key, limits, lifetime, &access, |set| {
        payload.read(length_max, |part| {
            let Part::Member(member) = part else { return Err(Fault::Format.into()) };
            sets::require_room(set, 1)?;
            if set.add(member) { Ok(()) } else { Err(Fault::Format.into()) }
        })
    })
}

fn make_sorted_set(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    payload: &Payload<'_>,
    lifetime: Lifetime,
) -> Result<Entry, Refusal> {
    let (limits, access) = (sorted_sets::limits(call), call.keyspace.access);
    let length_max = call.settings.max_value_size;
    call.keyspace.shard(key).make_sorted_set(key, limits, lifetime, &access, |sorted_set| {
        payload.read(length_max, |part| {
            let Part::Scored { member, score } = part else { return Err(Fault::Format.into()) };
            sorted_sets::require_room(sorted_set, 1)?;
            if sorted_set.set(member, score) { Ok(()) } else { Err(Fault::Format.into()) }
        })
    })
}
