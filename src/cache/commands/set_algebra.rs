//! Unions, intersections and differences of sets.

use std::collections::HashSet;

use super::sets::{SET, set_of, write_set};
use super::sorted_set_algebra::{count_intersection, parse_limit};
use super::sorted_sets::at_least;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Key, Set};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sunion",
        summary: "Returns the union of multiple sets.",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        handler: Handler::Data(|call| answer(call, Operation::Union)),
        ..ANSWERS
    },
    Command {
        name: "sinter",
        summary: "Returns the intersect of multiple sets.",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        handler: Handler::Data(|call| answer(call, Operation::Intersection)),
        ..ANSWERS
    },
    Command {
        name: "sdiff",
        summary: "Returns the difference of multiple sets.",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        handler: Handler::Data(|call| answer(call, Operation::Difference)),
        ..ANSWERS
    },
    Command {
        name: "sunionstore",
        summary: "Stores the union of multiple sets in a key.",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        handler: Handler::Data(|call| store(call, Operation::Union)),
        ..STORES
    },
    Command {
        name: "sinterstore",
        summary: "Stores the intersect of multiple sets in a key.",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        handler: Handler::Data(|call| store(call, Operation::Intersection)),
        ..STORES
    },
    Command {
        name: "sdiffstore",
        summary: "Stores the difference of multiple sets in a key.",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        handler: Handler::Data(|call| store(call, Operation::Difference)),
        ..STORES
    },
    Command {
        name: "sintercard",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Returns the number of members of the intersect of multiple sets.",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        since: "7.0.0",
        keys: Keys::counted(1, KeyAccess::ReadAccess),
        handler: Handler::Data(sintercard),
        ..ANSWERS
    },
];

/// The start of the rows of commands that reply with members.
const ANSWERS: Command = Command {
    syntax: "key [key ...]",
    flags: Flags::READONLY,
    keys: Keys::all(KeyAccess::ReadAccess),
    ..SET
};

/// The start of the rows of commands that store members.
const STORES: Command = Command {
    syntax: "destination key [key ...]",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: Keys { source: Some(KeyAccess::OverwriteUpdate), ..Keys::all(KeyAccess::ReadAccess) },
    ..SET
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

type Member = Box<[u8]>;

fn answer(call: &mut Call<'_, '_>, operation: Operation) -> Result<(), Refusal> {
    let keys = keys(call, 1, call.arguments.len());
    let members = combine(call, &keys, operation)?;
    call.output.set(members.len());
    members.iter().for_each(|member| call.output.bulk(member));
    Ok(())
}

fn store(call: &mut Call<'_, '_>, operation: Operation) -> Result<(), Refusal> {
    let keys = keys(call, 2, call.arguments.len());
    let members = combine(call, &keys, operation)?;
    let destination = call.key(1);
    call.keyspace.remove(&destination);
    if !members.is_empty() {
        write_set(call, &destination, |set| {
            members.iter().for_each(|member| {
                set.add(member);
            });
            Ok(())
        })?;
    }
    call.output.integer(members.len() as i64);
    Ok(())
}

fn sintercard(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    const FIRST_KEY: usize = 2;
    let count = at_least(call.arguments.at(1), 1, "ERR numkeys should be greater than 0")?;
    if count > call.arguments.len() - FIRST_KEY {
        return Err(Refusal::new("ERR Number of keys can't be greater than number of args"));
    }
    let limit = parse_limit(call.arguments.from(FIRST_KEY + count))?;
    let keys = keys(call, FIRST_KEY, FIRST_KEY + count);
    for key in &keys {
        call.keyspace.read(key).map(set_of).transpose()?;
    }
    let count = count_intersection(call, &keys, limit)?;
    call.output.integer(count as i64);
    Ok(())
}

/// The arguments from one place to another as keys.
fn keys<'c>(call: &Call<'c, '_>, start: usize, end: usize) -> Vec<Key<'c>> {
    (start..end).map(|position| call.key(position)).collect()
}

/// The members that the operation makes of those under the keys.
fn combine(call: &mut Call<'_, '_>, keys: &[Key<'_>], operation: Operation) -> Result<Vec<Member>, Refusal> {
    let mut lengths = Vec::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        let length = call.keyspace.read(key).map(set_of).transpose()?.map_or(0, Set::len);
        if length == 0 && operation == Operation::Intersection {
            // Redis looks at the types of the rest too.
            for key in &keys[place + 1..] {
                call.keyspace.read(key).map(set_of).transpose()?;
            }
            return Ok(Vec::new());
        }
        lengths.push((length, place));
    }
    match operation {
        Operation::Union => {
            let largest = lengths.iter().max().map_or(0, |(_, place)| *place);
            union(call, keys, largest)
        }
        Operation::Intersection => {
            // The smallest set first: no member of another one can be missing from it.
            lengths.sort_unstable();
            intersection(call, keys, lengths.iter().map(|(_, place)| *place))
        }
        Operation::Difference => difference(call, keys),
    }
}

/// The members of all sets.  Those of the largest need not be told apart from each other, and it tells itself whether it has one.
fn union(call: &mut Call<'_, '_>, keys: &[Key<'_>], largest: usize) -> Result<Vec<Member>, Refusal> {
    let mut others: HashSet<Member> = HashSet::new();
    for (_, key) in keys.iter().enumerate().filter(|(place, _)| *place != largest) {
        if let Some(set) = call.keyspace.peek(key).map(set_of).transpose()? {
            set.for_each(|member| {
                if !others.contains(member) {
                    others.insert(member.into());
                }
            });
        }
    }
    let Some(set) = call.keyspace.peek(&keys[largest]).map(set_of).transpose()? else {
        return Ok(others.into_iter().collect());
    };
    let mut members = all_of(set);
    others.retain(|member| !set.contains(member));
    members.extend(others);
    Ok(members)
}

fn intersection(
    call: &mut Call<'_, '_>,
    keys: &[Key<'_>],
    order: impl Iterator<Item = usize>,
) -> Result<Vec<Member>, Refusal> {
    let mut members: Option<Vec<Member>> = None;
    for place in order {
        let Some(set) = call.keyspace.peek(&keys[place]).map(set_of).transpose()? else {
            return Ok(Vec::new());
        };
        match &mut members {
            Some(members) => members.retain(|member| set.contains(member)),
            None => members = Some(all_of(set)),
        }
    }
    Ok(members.unwrap_or_default())
}

fn difference(call: &mut Call<'_, '_>, keys: &[Key<'_>]) -> Result<Vec<Member>, Refusal> {
    let mut members: Option<Vec<Member>> = None;
    for key in keys {
        let set = call.keyspace.peek(key).map(set_of).transpose()?;
        match (&mut members, set) {
            (None, set) => members = Some(set.map_or_else(Vec::new, all_of)),
            (Some(members), Some(set)) => members.retain(|member| !set.contains(member)),
            (Some(_), None) => {}
        }
    }
    Ok(members.unwrap_or_default())
}

fn all_of(set: Set<'_>) -> Vec<Member> {
    let mut members = Vec::with_capacity(set.len());
    set.for_each(|member| members.push(member.into()));
    members
}
