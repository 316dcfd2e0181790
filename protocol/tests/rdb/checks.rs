//! Checks of payloads that hold for any bytes.  Property tests and fuzz targets call the same functions.

use quartet_protocol::rdb::{Fault, Kind, Part, Payload, Writer};

use super::naive::{self, Value};

/// The most bytes that the parts of a value may have for each byte of the payload: three bytes of LZF are 264, and one
/// of those may be an item of a listpack that is a number of up to three digits.
const EXPANSION_MAX: usize = 88 * 3;

/// The value of a payload.
pub(crate) fn read(payload: &[u8], length_max: usize) -> Result<Value, Fault> {
    let payload = Payload::open(payload)?;
    let mut value = match payload.kind() {
        Kind::String => Value::String(Vec::new()),
        Kind::List => Value::List(Vec::new()),
        Kind::Set => Value::Set(Vec::new()),
        Kind::SortedSet => Value::SortedSet(Vec::new()),
        Kind::Hash => Value::Hash(Vec::new()),
    };
    payload.read(length_max, |part| {
        match (&mut value, part) {
            (Value::String(string), Part::String(part)) => *string = part.into_owned(),
            (Value::List(elements), Part::Element(element)) => elements.push(element.to_vec()),
            (Value::Set(members), Part::Member(member)) => members.push(member.to_vec()),
            (Value::SortedSet(members), Part::Scored { member, score }) => {
                assert!(!score.is_nan());
                members.push((member.to_vec(), score));
            }
            (Value::Hash(fields), Part::Field { field, value, expires }) => {
                fields.push((field.to_vec(), value.to_vec(), expires));
            }
            (value, part) => panic!("{part:?} is no part of {value:?}"),
        }
        Ok::<(), Fault>(())
    })?;
    Ok(value)
}

/// The payload of a value, without the times at which fields expire.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut writer = match value {
        Value::String(string) => return Writer::string(string),
        Value::List(elements) => Writer::new(Kind::List, elements.len(), 0),
        Value::Set(members) => Writer::new(Kind::Set, members.len(), 0),
        Value::SortedSet(members) => Writer::new(Kind::SortedSet, members.len(), 0),
        Value::Hash(fields) => Writer::new(Kind::Hash, fields.len(), 0),
    };
    match value {
        Value::String(_) => {}
        Value::List(items) | Value::Set(items) => items.iter().for_each(|item| writer.text(item)),
        Value::SortedSet(members) => members.iter().for_each(|(member, score)| {
            writer.text(member);
            writer.score(*score);
        }),
        Value::Hash(fields) => fields.iter().for_each(|(field, value, _)| {
            writer.text(field);
            writer.text(value);
        }),
    }
    writer.finish()
}

/// The bytes of a type and a value are read or refused.  A value that is read is no larger than its bytes allow, and its
/// own payload is read again.
pub(crate) fn value(version: u16, bytes: &[u8], length_max: usize) {
    let Ok(mut value) = read(&naive::payload(version, bytes), length_max) else { return };
    assert!(value.size() <= EXPANSION_MAX * bytes.len(), "{value:?}");
    assert!(value.longest() <= length_max, "{value:?}");
    value.forget_expiry();
    assert_eq!(read(&write(&value), length_max).as_ref(), Ok(&value));
}

/// What fuzz targets are given: a version and the bytes of a type and a value.
pub(crate) fn input(bytes: &[u8]) {
    let Some((&version, bytes)) = bytes.split_first() else { return };
    value(u16::from(version), bytes, 10_000);
    assert!(naive::is_payload(bytes) || read(bytes, 10_000) == Err(Fault::Footer));
}
