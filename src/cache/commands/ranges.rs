//! Parts of strings: APPEND, GETRANGE, SETRANGE, STRLEN, SUBSTR.

use std::ops::Range;

use bytes::BytesMut;
use quartet_protocol::resp::number::parse_integer;

use super::strings::STRING;
use crate::command::{Call, Command, Deprecated, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Key, Lifetime, Value, WrongType};

const RANGE_COMPLEXITY: &str = "O(N) where N is the length of the returned string. The complexity is ultimately \
    determined by the returned length, but because creating a substring from an existing string is very cheap, it can \
    be considered O(1) for small strings.";

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "append",
        syntax: "key value",
        summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
        complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already \
                     present value is of any size, since the dynamic string library used by Redis will double the \
                     free space available on every reallocation.",
        since: "2.0.0",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteInsert),
        handler: Handler::Data(append),
        ..STRING
    },
    Command {
        name: "strlen",
        syntax: "key",
        summary: "Returns the length of a string value.",
        since: "2.2.0",
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadOnly),
        handler: Handler::Data(strlen),
        ..STRING
    },
    Command {
        name: "setrange",
        syntax: "key offset value",
        summary: "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
        complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very \
                     small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length \
                     of the value argument.",
        since: "2.2.0",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        handler: Handler::Data(setrange),
        ..STRING
    },
    Command {
        name: "getrange",
        syntax: "key start end",
        summary: "Returns a substring of the string stored at a key.",
        complexity: RANGE_COMPLEXITY,
        since: "2.4.0",
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(getrange),
        ..STRING
    },
    Command {
        name: "substr",
        deprecated: Some(Deprecated { since: "2.0.0", replaced_by: "`GETRANGE`" }),
        syntax: "key start end",
        summary: "Returns a substring from a string value.",
        complexity: RANGE_COMPLEXITY,
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(getrange),
        ..STRING
    },
];

fn append(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let suffix = call.arguments.at(2);
    let length = length_of(call, &key)?;
    if let Some(length) = length {
        require_length(call, length, suffix.len())?;
    }
    let access = call.keyspace.untraced_access();
    let length = match length {
        Some(_) => {
            let appended = call.keyspace.shard(&key).append(&key, suffix, &access)?;
            appended.expect("the key was there under the same lock")
        }
        None => {
            call.write_string(&key, 2, Lifetime::Forever, &access)?;
            suffix.len()
        }
    };
    call.output.integer(length as i64);
    Ok(())
}

fn strlen(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let value = call.keyspace.read(&key).map(EntryRef::string).transpose()?;
    let length = value.map_or(0, |value| value.bytes().len());
    call.output.integer(length as i64);
    Ok(())
}

fn setrange(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let offset = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let offset = usize::try_from(offset).map_err(|_| Refusal::OFFSET_OUT_OF_RANGE)?;
    let part = call.arguments.at(3);
    let length = length_of(call, &key)?;
    if part.is_empty() {
        call.output.integer(length.unwrap_or(0) as i64);
        return Ok(());
    }
    require_length(call, offset, part.len())?;
    let overwrite = |bytes: &mut BytesMut| {
        let end = offset + part.len();
        lengthen(bytes, end);
        bytes[offset..end].copy_from_slice(part);
        bytes.len()
    };
    let access = call.keyspace.untraced_access();
    let shard = call.keyspace.shard(&key);
    if shard.peek(&key, &access).is_none() {
        shard.set(&key, b"", Lifetime::Forever, &access);
    }
    let length = shard.edit(&key, &access, overwrite)?.expect("the key exists by now");
    call.output.integer(length as i64);
    Ok(())
}

/// Fills a string up with zeros to a length, unless it is as long.  The work is that of copying it at most: the zeros of one
/// that more than doubles are those of memory that was never touched.
fn lengthen(bytes: &mut BytesMut, length: usize) {
    if length / 2 > bytes.len() {
        let mut longer = BytesMut::zeroed(length);
        longer[..bytes.len()].copy_from_slice(bytes);
        *bytes = longer;
    } else if length > bytes.len() {
        bytes.resize(length, 0);
    }
}

fn length_of(call: &mut Call<'_, '_>, key: &Key<'_>) -> Result<Option<usize>, WrongType> {
    let value = call.keyspace.find(key).map(EntryRef::string).transpose()?;
    Ok(value.map(|value| value.bytes().len()))
}

/// Refuses a string of `start + added` bytes if that is longer than allowed.
fn require_length(call: &Call<'_, '_>, start: usize, added: usize) -> Result<(), Refusal> {
    match start.checked_add(added) {
        Some(length) if length <= call.settings.proto_max_bulk_len => call.require_value_size(length),
        _ => Err(Refusal::STRING_TOO_LONG),
    }
}

fn getrange(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let start = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let end = parse_integer(call.arguments.at(3)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let value = call.keyspace.read(&key).map(EntryRef::string).transpose()?;
    let range = value.map_or(0..0, |value| clamped(start, end, value.bytes().len()));
    match value {
        Some(Value::Shared(bytes)) => call.output.bulk_shared(bytes.slice(range)),
        Some(Value::Inline(bytes)) => call.output.bulk(&bytes[range]),
        None => call.output.bulk(b""),
    }
    Ok(())
}

/// The part of a string of `length` bytes from `start` to `end`, both included and both counted from the end of the
/// string if they are negative.
fn clamped(start: i64, end: i64, length: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let length = length as i64;
    let from_start = |index: i64| if index < 0 { length.saturating_add(index).max(0) } else { index };
    let (start, end) = (from_start(start), from_start(end).min(length - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

#[cfg(test)]
mod tests {
    use super::clamped;

    #[test]
    fn ranges_stay_within_the_string() {
        for (start, end, expected) in [
            (0, 3, 0..4),
            (0, -1, 0..9),
            (-3, -1, 6..9),
            (5, 2, 0..0),
            (-1, -3, 0..0),
            (5, 100, 5..9),
            (100, 200, 0..0),
            (-100, 100, 0..9),
            (-100, -50, 0..1),
            (i64::MIN, i64::MAX, 0..9),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(clamped(start, end, 9), expected, "{start} {end}");
        }
        assert_eq!(clamped(0, -1, 0), 0..0);
        assert_eq!(clamped(-1, -1, 0), 0..0);
    }
}
