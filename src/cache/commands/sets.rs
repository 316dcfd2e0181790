//! Sets: adding, removing, asking for and taking members.  The algebra of several sets is in `set_algebra`, walks and samples
//! are in `set_samples`.

use quartet_protocol::resp::Output;

use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys, Parts};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Key, Set, SetLimits, SetWriter};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sadd",
        syntax: "key member [member ...]",
        summary: "Adds one or more members to a set. Creates the key if it doesn't exist.",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple \
                     arguments.",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteInsert),
        parts: Parts::ALL,
        handler: Handler::Data(sadd),
        ..SET
    },
    Command {
        name: "srem",
        syntax: "key member [member ...]",
        summary: "Removes one or more members from a set. Deletes the set if the last member was removed.",
        complexity: "O(N) where N is the number of members to be removed.",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteDelete),
        parts: Parts::ALL,
        handler: Handler::Data(srem),
        ..SET
    },
    Command {
        name: "smove",
        syntax: "source destination member",
        summary: "Moves a member from one set to another.",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::source_and_destination(KeyAccess::ReadWriteAccessDelete, KeyAccess::ReadWriteInsert),
        handler: Handler::Data(smove),
        ..SET
    },
    Command {
        name: "scard",
        syntax: "key",
        summary: "Returns the number of members in a set.",
        handler: Handler::Data(scard),
        ..READS
    },
    Command {
        name: "sismember",
        syntax: "key member",
        summary: "Determines whether a member belongs to a set.",
        parts: Parts::ONE,
        handler: Handler::Data(sismember),
        ..READS
    },
    Command {
        name: "smismember",
        syntax: "key member [member ...]",
        summary: "Determines whether multiple members belong to a set.",
        complexity: "O(N) where N is the number of elements being checked for membership",
        since: "6.2.0",
        parts: Parts::ALL,
        handler: Handler::Data(smismember),
        ..READS
    },
    Command {
        name: "smembers",
        syntax: "key",
        summary: "Returns all members of a set.",
        complexity: "O(N) where N is the set cardinality.",
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(smembers),
        ..SET
    },
];

/// The start of the rows of all commands on sets.
pub(super) const SET: Command = Command { group: Group::Set, ..Command::ROW };

/// The start of the rows of commands that read little.
const READS: Command =
    Command { flags: Flags::READONLY.union(Flags::FAST), keys: Keys::first(KeyAccess::ReadOnly), ..SET };

fn sadd(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let members = call.arguments.from(2);
    for member in members.iter() {
        call.require_value_size(member.len())?;
    }
    let key = call.key(1);
    let added = write_set(call, &key, |set| {
        require_room(set, members.len())?;
        Ok(members.iter().map(|member| usize::from(set.add(member))).sum::<usize>())
    })?;
    call.output.integer(added as i64);
    Ok(())
}

fn srem(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let members = call.arguments.from(2);
    let key = call.key(1);
    let removed = write_set(call, &key, |set| {
        Ok(members.iter().map(|member| usize::from(set.remove(member))).sum::<usize>())
    })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn smove(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (source, destination, member) = (call.key(1), call.key(2), call.arguments.at(3));
    let Some(set) = call.keyspace.find(&source).map(set_of).transpose()? else {
        call.keyspace.find(&destination);
        call.output.integer(0);
        return Ok(());
    };
    let is_there = set.contains(member);
    call.keyspace.find(&destination).map(set_of).transpose()?;
    if is_there && source.bytes != destination.bytes {
        let (limits, access) = (limits(call), call.keyspace.untraced_access());
        call.keyspace.shard(&destination).write_set(&destination, limits, &access, |set| {
            require_room(set, 1)?;
            Ok::<bool, Refusal>(set.add(member))
        })??;
        call.keyspace.shard(&source).write_set(&source, limits, &access, |set| set.remove(member))?;
    }
    call.output.integer(i64::from(is_there));
    Ok(())
}

fn scard(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_set(call, |set, output| output.integer(set.map_or(0, Set::len) as i64))
}

fn sismember(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let member = call.arguments.at(2);
    read_set(call, |set, output| output.integer(i64::from(set.is_some_and(|set| set.contains(member)))))
}

fn smismember(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let members = call.arguments.from(2);
    read_set(call, |set, output| {
        output.array(members.len());
        for member in members.iter() {
            output.integer(i64::from(set.is_some_and(|set| set.contains(member))));
        }
    })
}

fn smembers(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_set(call, |set, output| {
        output.set(set.map_or(0, Set::len));
        if let Some(set) = set {
            set.for_each(|member| output.bulk(member));
        }
    })
}

/// Reads the set under the first key, none if there is no such key, and writes the reply.
///
/// # Errors
/// If the key holds something else.
pub(super) fn read_set(
    call: &mut Call<'_, '_>,
    reply: impl FnOnce(Option<Set<'_>>, &mut Output),
) -> Result<(), Refusal> {
    let key = call.key(1);
    let set = call.keyspace.read(&key).map(set_of).transpose()?;
    reply(set, call.output);
    Ok(())
}

/// Changes the set under a key, an empty one if there is no such key.
///
/// # Errors
/// The refusal of `write`, or that the key holds something else.
pub(super) fn write_set<R>(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    write: impl FnOnce(&mut SetWriter<'_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let (limits, access) = (limits(call), call.keyspace.access);
    call.keyspace.shard(key).write_set(key, limits, &access, write)?
}

/// Refuses further members if there are as many as there can be.
///
/// # Errors
/// If so.
pub(super) fn require_room(set: &SetWriter<'_>, members: usize) -> Result<(), Refusal> {
    if set.has_room(members) { Ok(()) } else { Err(Refusal::new("ERR the set has too many members")) }
}

/// Up to where it has a small form.
pub(super) fn limits(call: &Call<'_, '_>) -> SetLimits {
    SetLimits {
        integers: call.settings.set_max_intset_entries,
        entries: call.settings.set_max_listpack_entries,
        value: call.settings.set_max_listpack_value,
    }
}

/// The set that an entry holds.
pub(super) fn set_of(entry: EntryRef<'_>) -> Result<Set<'_>, Refusal> {
    Ok(entry.parts()?.set()?)
}
