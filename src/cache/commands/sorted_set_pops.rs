//! Members taken from the ends of sorted sets: ZPOPMIN, ZPOPMAX, ZMPOP.  `sorted_set_waits` has the commands that wait for
//! members.

use quartet_protocol::resp::{Arguments, Output, Version};

use super::sorted_sets::{SORTED_SET, Scored, at_least, write_sorted_set};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Key, SortedSetWriter, TakenMembers};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zpopmin",
        summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if \
                  the last member was popped.",
        handler: Handler::Data(|call| zpop(call, End::Min)),
        ..POPS
    },
    Command {
        name: "zpopmax",
        summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set \
                  if the last member was popped.",
        handler: Handler::Data(|call| zpop(call, End::Max)),
        ..POPS
    },
    Command {
        name: "zmpop",
        syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. \
                  Deletes the sorted set if the last member was popped.",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in \
                     the sorted set, and M being the number of elements popped.",
        since: "7.0.0",
        flags: Flags::WRITE,
        keys: Keys::counted(1, KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(zmpop),
        ..SORTED_SET
    },
];

/// The start of the rows of ZPOPMIN and ZPOPMAX.
const POPS: Command = Command {
    syntax: "key [count]",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of \
                 elements popped.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::TAKES_COUNT),
    keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
    ..SORTED_SET
};

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

fn zpop(call: &mut Call<'_, '_>, end: End) -> Result<(), Refusal> {
    let count = match call.arguments.len() {
        2 => 1,
        3 => at_least(call.arguments.at(2), 0, "ERR value is out of range, must be positive")?,
        _ => return Err(Refusal::SYNTAX),
    };
    let is_nested = call.output.version() == Version::Resp3 && call.arguments.len() == 3;
    let key = call.key(1);
    let popped = pop(call, &key, end, count)?;
    if !is_nested {
        call.output.array(2 * popped.len());
    } else {
        call.output.array(popped.len());
    }
    for (member, score) in popped {
        if is_nested {
            call.output.array(2);
        }
        call.output.bulk(&member);
        call.output.double(score);
    }
    Ok(())
}

/// The options of ZMPOP.
#[derive(Clone, Copy, Debug)]
pub(super) struct PopOptions {
    /// The place of the first key.
    pub(super) first_key: usize,
    /// Number of keys.
    pub(super) keys: usize,
    /// The end to pop from.
    pub(super) end: End,
    /// The most members to pop.
    pub(super) count: usize,
}

/// The options whose number of keys is the argument at this place.
pub(super) fn pop_options(arguments: Arguments<'_>, keys_at: usize) -> Result<PopOptions, Refusal> {
    let keys = at_least(arguments.at(keys_at), 1, "ERR numkeys should be greater than 0")?;
    let first_key = keys_at + 1;
    let word_at = first_key.saturating_add(keys);
    let end = match arguments.get(word_at).map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"min") => End::Min,
        Some(b"max") => End::Max,
        _ => return Err(Refusal::SYNTAX),
    };
    let mut words = arguments.from(word_at + 1).iter();
    let mut count = None;
    while let Some(word) = words.next() {
        let number = words.next().filter(|_| count.is_none() && word.eq_ignore_ascii_case(b"count"));
        count = Some(at_least(number.ok_or(Refusal::SYNTAX)?, 1, "ERR count should be greater than 0")?);
    }
    Ok(PopOptions { first_key, keys, end, count: count.unwrap_or(1) })
}

fn zmpop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = pop_options(call.arguments, 1)?;
    for position in options.first_key..options.first_key + options.keys {
        let key = call.key(position);
        let popped = pop(call, &key, options.end, options.count)?;
        if !popped.is_empty() {
            write_popped(call.output, key.bytes, &popped);
            return Ok(());
        }
    }
    call.output.null_array();
    Ok(())
}

/// Writes the key that members were popped from, and the members.
pub(super) fn write_popped(output: &mut Output, key: &[u8], popped: &[Scored]) {
    output.array(2);
    output.bulk(key);
    output.array(popped.len());
    for (member, score) in popped {
        output.array(2);
        output.bulk(member);
        output.double(*score);
    }
}

/// Takes up to `count` members from an end of a sorted set, the outermost first.
pub(super) fn pop(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    end: End,
    count: usize,
) -> Result<TakenMembers, Refusal> {
    write_sorted_set(call, key, |sorted_set| Ok(pop_from(sorted_set, end, count)))
}

/// The same of a sorted set at hand.
pub(super) fn pop_from(sorted_set: &mut SortedSetWriter<'_>, end: End, count: usize) -> TakenMembers {
    let length = sorted_set.sorted_set().len();
    let count = count.min(length);
    let ranks = if end == End::Min { 0..count } else { length - count..length };
    sorted_set.take_ranks(ranks, end == End::Max)
}
