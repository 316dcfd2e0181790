//! Lists: adding and taking elements at the ends, and reading.  Changes in the middle are in `list_edits`, moves from one list
//! to another in `list_moves`.

use std::ops::Range;

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Element, EntryRef, Key, List, ListLimits, ListWriter, Side};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lpush",
        syntax: "key element [element ...]",
        summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
        handler: Handler::Data(|call| push(call, Side::Left)),
        ..PUSHES
    },
    Command {
        name: "rpush",
        syntax: "key element [element ...]",
        summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
        handler: Handler::Data(|call| push(call, Side::Right)),
        ..PUSHES
    },
    Command {
        name: "lpushx",
        syntax: "key element [element ...]",
        summary: "Prepends one or more elements to a list only when the list exists.",
        since: "2.2.0",
        handler: Handler::Data(|call| push_to_existing(call, Side::Left)),
        ..PUSHES
    },
    Command {
        name: "rpushx",
        syntax: "key element [element ...]",
        summary: "Appends an element to a list only when the list exists.",
        since: "2.2.0",
        handler: Handler::Data(|call| push_to_existing(call, Side::Right)),
        ..PUSHES
    },
    Command {
        name: "lpop",
        syntax: "key [count]",
        summary: "Returns the first elements in a list after removing it. Deletes the list if the last element was \
                  popped.",
        handler: Handler::Data(|call| pop(call, Side::Left)),
        ..POPS
    },
    Command {
        name: "rpop",
        syntax: "key [count]",
        summary: "Returns and removes the last elements of a list. Deletes the list if the last element was popped.",
        handler: Handler::Data(|call| pop(call, Side::Right)),
        ..POPS
    },
    Command {
        name: "llen",
        syntax: "key",
        summary: "Returns the length of a list.",
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadOnly),
        handler: Handler::Data(llen),
        ..LIST
    },
    Command {
        name: "lindex",
        syntax: "key index",
        summary: "Returns an element from a list by its index.",
        complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes \
                     asking for the first or the last element of the list O(1).",
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(lindex),
        ..LIST
    },
    Command {
        name: "lrange",
        syntax: "key start stop",
        summary: "Returns a range of elements from a list.",
        complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD \
                     or TAIL) for large lists; and N is the number of elements in the specified range.",
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(lrange),
        ..LIST
    },
];

/// The start of the rows of all commands on lists.
pub(super) const LIST: Command = Command { group: Group::List, ..Command::ROW };

/// The start of the rows of commands that add to a list.
const PUSHES: Command = Command {
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple \
                 arguments.",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteInsert),
    ..LIST
};

/// The start of the rows of commands that take from a list.
const POPS: Command = Command {
    complexity: "O(N) where N is the number of elements returned",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::TAKES_COUNT),
    keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
    ..LIST
};

fn push(call: &mut Call<'_, '_>, side: Side) -> Result<(), Refusal> {
    let values = call.arguments.from(2);
    for value in values.iter() {
        call.require_value_size(value.len())?;
    }
    let key = call.key(1);
    let (limits, access) = (limits(call), call.keyspace.access);
    let length = call.keyspace.shard(&key).write_list(&key, limits, &access, |list| {
        list.push_all(side, values.iter());
        list.list().len()
    })?;
    call.output.integer(length as i64);
    Ok(())
}

fn push_to_existing(call: &mut Call<'_, '_>, side: Side) -> Result<(), Refusal> {
    let values = call.arguments.from(2);
    for value in values.iter() {
        call.require_value_size(value.len())?;
    }
    let key = call.key(1);
    let length = change_list(call, &key, |list, _| {
        list.push_all(side, values.iter());
        list.list().len()
    })?;
    call.output.integer(length.unwrap_or(0) as i64);
    Ok(())
}

fn pop(call: &mut Call<'_, '_>, side: Side) -> Result<(), Refusal> {
    let count = match call.arguments.len() {
        2 => None,
        3 => Some(not_negative(call.arguments.at(2)).ok_or_else(not_positive)?),
        _ => return Err(Refusal::wrong_arity(&call.row.name)),
    };
    let key = call.key(1);
    let taken = change_list(call, &key, |list, output| match count {
        None => drop(list.pop(side, |element| element.write(output))),
        Some(count) => {
            output.array(count.min(list.list().len()));
            take(list, side, count, |element| element.write(output));
        }
    })?;
    match (taken, count) {
        (Some(()), _) => {}
        (None, None) => call.output.null(),
        (None, Some(_)) => call.output.null_array(),
    }
    Ok(())
}

/// Takes up to `count` elements from one end, and shows each to `visit`.
pub(super) fn take(list: &mut ListWriter<'_>, side: Side, count: usize, visit: impl FnMut(Element<'_>)) {
    let length = list.list().len();
    let count = count.min(length);
    match side {
        Side::Left => {
            list.list().elements_from(0).take(count).for_each(visit);
            list.remove_range(0..count);
        }
        Side::Right => {
            list.list().elements_before(length).take(count).for_each(visit);
            list.remove_range(length - count..length);
        }
    }
}

fn llen(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_list(call, |list, output| {
        output.integer(list.map_or(0, List::len) as i64);
        Ok(())
    })
}

fn lindex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let index = call.arguments.at(2);
    read_list(call, |list, output| {
        // Without a list the index is not looked at, as in Redis.
        let Some(list) = list else {
            output.null();
            return Ok(());
        };
        let index = parse_integer(index).ok_or(Refusal::NOT_AN_INTEGER)?;
        match place(index, list.len()).and_then(|index| list.get(index)) {
            Some(element) => element.write(output),
            None => output.null(),
        }
        Ok(())
    })
}

fn lrange(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (start, stop) = (integer(call, 2)?, integer(call, 3)?);
    read_list(call, |list, output| {
        let range = list.map_or(0..0, |list| places(start, stop, list.len()));
        output.array(range.len());
        if let Some(list) = list.filter(|_| !range.is_empty()) {
            list.elements_from(range.start).take(range.len()).for_each(|element| element.write(output));
        }
        Ok(())
    })
}

/// The place that an index of a list of this length means, which counts from the end if it is negative.
pub(super) fn place(index: i64, length: usize) -> Option<usize> {
    let place = if index < 0 { index.checked_add_unsigned(length as u64)? } else { index };
    usize::try_from(place).ok().filter(|&place| place < length)
}

/// The places from one index to another, both included, as far as there are any.
pub(super) fn places(start: i64, stop: i64, length: usize) -> Range<usize> {
    let from_start =
        |index: i64| if index < 0 { index.saturating_add_unsigned(length as u64) } else { index };
    let start = usize::try_from(from_start(start)).unwrap_or(0);
    let end = usize::try_from(from_start(stop)).map_or(0, |stop| stop.saturating_add(1).min(length));
    if start < end { start..end } else { 0..0 }
}

/// The integer that the argument at `position` spells.
///
/// # Errors
/// If it spells none.
pub(super) fn integer(call: &Call<'_, '_>, position: usize) -> Result<i64, Refusal> {
    parse_integer(call.arguments.at(position)).ok_or(Refusal::NOT_AN_INTEGER)
}

/// The number, if it is one and not negative.
pub(super) fn not_negative(text: &[u8]) -> Option<usize> {
    usize::try_from(parse_integer(text)?).ok()
}

fn not_positive() -> Refusal {
    Refusal::new("ERR value is out of range, must be positive")
}

/// Reads the list under the first key, none if there is no such key, and writes the reply.
///
/// # Errors
/// The refusal of `reply`, or that the key holds something else.
pub(super) fn read_list(
    call: &mut Call<'_, '_>,
    reply: impl FnOnce(Option<List<'_>>, &mut Output) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let key = call.key(1);
    let list = call.keyspace.read(&key).map(list_of).transpose()?;
    reply(list, call.output)
}

/// Changes the list under a key and lets `write` write the reply; none if there is no such key.
///
/// # Errors
/// That the key holds something else.
pub(super) fn change_list<R>(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    write: impl FnOnce(&mut ListWriter<'_>, &mut Output) -> R,
) -> Result<Option<R>, Refusal> {
    let (limits, access) = (limits(call), call.keyspace.access);
    let (shard, output) = (call.keyspace.shard(key), &mut *call.output);
    Ok(shard.change_list(key, limits, &access, |list| write(list, output))?)
}

/// How much a block of a list may hold.
pub(super) fn limits(call: &Call<'_, '_>) -> ListLimits {
    ListLimits::new(call.settings.list_max_listpack_size)
}

/// The list that an entry holds.
///
/// # Errors
/// If it holds something else.
pub(super) fn list_of(entry: EntryRef<'_>) -> Result<List<'_>, Refusal> {
    Ok(entry.parts()?.list()?)
}

#[cfg(test)]
mod tests {
    use super::{place, places};

    #[test]
    fn indexes_count_from_either_end() {
        let found = [0, 2, 3, -1, -3, -4, i64::MAX, i64::MIN].map(|index| place(index, 3));
        assert_eq!(found, [Some(0), Some(2), None, Some(2), Some(0), None, None, None]);
        let cases = [
            (0, -1, 0..3),
            (1, 1, 1..2),
            (-100, 100, 0..3),
            (2, 1, 0..0),
            (3, 5, 0..0),
            (-1, -2, 0..0),
            (i64::MIN, i64::MAX, 0..3),
            (i64::MAX, i64::MAX, 0..0),
            (0, i64::MIN, 0..0),
        ];
        for (start, stop, expected) in cases {
            assert_eq!(places(start, stop, 3), expected, "{start} {stop}");
        }
        assert_eq!(places(0, -1, 0), 0..0);
    }
}
