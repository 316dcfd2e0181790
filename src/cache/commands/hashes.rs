//! Hashes: writing and reading fields.  Numbers in fields are in `hash_numbers`, walks and samples in `hash_samples`.

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Deprecated, Flags, Group, Handler, KeyAccess, Keys, Parts};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Hash, HashLimits, HashWriter, Key, Part};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hset",
        syntax: "key field value [field value ...]",
        summary: "Creates or modifies the value of a field in a hash.",
        complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is \
                     called with multiple field/value pairs.",
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        parts: Parts::FIRST_OF_PAIRS,
        handler: Handler::Data(hset),
        ..WRITES
    },
    Command {
        name: "hmset",
        deprecated: Some(Deprecated {
            since: "4.0.0",
            replaced_by: "`HSET` with multiple field-value pairs",
        }),
        syntax: "key field value [field value ...]",
        summary: "Sets the values of multiple fields.",
        complexity: "O(N) where N is the number of fields being set.",
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        parts: Parts::FIRST_OF_PAIRS,
        handler: Handler::Data(hmset),
        ..WRITES
    },
    Command {
        name: "hsetnx",
        syntax: "key field value",
        summary: "Sets the value of a field in a hash only when the field doesn't exist.",
        keys: Keys::first(KeyAccess::ReadWriteInsert),
        parts: Parts::ONE,
        handler: Handler::Data(hsetnx),
        ..WRITES
    },
    Command {
        name: "hget",
        syntax: "key field",
        summary: "Returns the value of a field in a hash.",
        keys: Keys::first(KeyAccess::ReadAccess),
        parts: Parts::ONE,
        handler: Handler::Data(hget),
        ..READS
    },
    Command {
        name: "hmget",
        syntax: "key field [field ...]",
        summary: "Returns the values of all fields in a hash.",
        complexity: "O(N) where N is the number of fields being requested.",
        keys: Keys::first(KeyAccess::ReadAccess),
        parts: Parts::ALL,
        handler: Handler::Data(hmget),
        ..READS
    },
    Command {
        name: "hlen",
        syntax: "key",
        summary: "Returns the number of fields in a hash.",
        handler: Handler::Data(hlen),
        ..READS
    },
    Command {
        name: "hexists",
        syntax: "key field",
        summary: "Determines whether a field exists in a hash.",
        parts: Parts::ONE,
        handler: Handler::Data(hexists),
        ..READS
    },
    Command {
        name: "hstrlen",
        syntax: "key field",
        summary: "Returns the length of the value of a field.",
        since: "3.2.0",
        parts: Parts::ONE,
        handler: Handler::Data(hstrlen),
        ..READS
    },
    Command {
        name: "hgetall",
        syntax: "key",
        summary: "Returns all fields and values in a hash.",
        handler: Handler::Data(hgetall),
        ..READS_WHOLE
    },
    Command {
        name: "hkeys",
        syntax: "key",
        summary: "Returns all fields in a hash.",
        handler: Handler::Data(hkeys),
        ..READS_WHOLE
    },
    Command {
        name: "hvals",
        syntax: "key",
        summary: "Returns all values in a hash.",
        handler: Handler::Data(hvals),
        ..READS_WHOLE
    },
    Command {
        name: "hdel",
        syntax: "key field [field ...]",
        summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
        complexity: "O(N) where N is the number of fields to be removed.",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteDelete),
        parts: Parts::ALL,
        handler: Handler::Data(hdel),
        ..HASH
    },
    Command {
        name: "hgetdel",
        syntax: "key FIELDS numfields field [field ...]",
        summary: "Returns the values of one or more fields and deletes them from a hash.",
        complexity: "O(N) where N is the number of fields to be retrieved and deleted.",
        since: "8.0.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(hgetdel),
        ..HASH
    },
];

/// The start of the rows of all commands on hashes.
pub(super) const HASH: Command = Command { since: "2.0.0", group: Group::Hash, ..Command::ROW };

/// The start of the rows of commands that add to a hash.
pub(super) const WRITES: Command =
    Command { flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST), ..HASH };

/// The start of the rows of commands that read some fields.
const READS: Command =
    Command { flags: Flags::READONLY.union(Flags::FAST), keys: Keys::first(KeyAccess::ReadOnly), ..HASH };

/// The start of the rows of commands that read all fields.
const READS_WHOLE: Command = Command {
    complexity: "O(N) where N is the size of the hash.",
    flags: Flags::READONLY,
    keys: Keys::first(KeyAccess::ReadAccess),
    ..HASH
};

/// The place of the first field of HGETDEL.
const FIRST_TAKEN: usize = 4;

fn hset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let added = set_pairs(call)?;
    call.output.integer(added as i64);
    Ok(())
}

fn hmset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_pairs(call)?;
    call.output.ok();
    Ok(())
}

/// Writes the pairs from the second argument on, and returns how many fields are new.
fn set_pairs(call: &mut Call<'_, '_>) -> Result<usize, Refusal> {
    let arguments = call.arguments.from(2);
    if !arguments.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    for argument in arguments.iter() {
        call.require_value_size(argument.len())?;
    }
    let key = call.key(1);
    write_hash(call, &key, |hash| {
        require_room(hash, arguments.len() / 2)?;
        let mut words = arguments.iter();
        let mut added = 0;
        while let (Some(field), Some(value)) = (words.next(), words.next()) {
            added += usize::from(hash.set(field, value));
        }
        Ok(added)
    })
}

fn hsetnx(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (field, value) = (call.arguments.at(2), call.arguments.at(3));
    call.require_value_size(field.len().max(value.len()))?;
    let key = call.key(1);
    let is_set = write_hash(call, &key, |hash| {
        if hash.hash().get(field).is_some() {
            return Ok(false);
        }
        require_room(hash, 1)?;
        Ok(hash.set(field, value))
    })?;
    call.output.integer(i64::from(is_set));
    Ok(())
}

fn hget(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let field = call.arguments.at(2);
    read_hash(call, |hash, output| write_value(output, hash.and_then(|hash| hash.get(field))))
}

fn hmget(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let fields = call.arguments.from(2);
    read_hash(call, |hash, output| {
        output.array(fields.len());
        for field in fields.iter() {
            write_value(output, hash.and_then(|hash| hash.get(field)));
        }
    })
}

fn hlen(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_hash(call, |hash, output| output.integer(hash.map_or(0, Hash::len) as i64))
}

fn hexists(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let field = call.arguments.at(2);
    read_hash(call, |hash, output| {
        output.integer(i64::from(hash.is_some_and(|hash| hash.get(field).is_some())));
    })
}

fn hstrlen(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let field = call.arguments.at(2);
    read_hash(call, |hash, output| {
        let value = hash.and_then(|hash| hash.get(field));
        output.integer(value.map_or(0, |value| value.len()) as i64);
    })
}

fn hgetall(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_hash(call, |hash, output| {
        output.map(hash.map_or(0, Hash::len));
        if let Some(hash) = hash {
            hash.for_each(|field, value| {
                output.bulk(field);
                output.bulk(value);
            });
        }
    })
}

fn hkeys(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_hash(call, |hash, output| {
        output.array(hash.map_or(0, Hash::len));
        if let Some(hash) = hash {
            hash.for_each(|field, _| output.bulk(field));
        }
    })
}

fn hvals(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_hash(call, |hash, output| {
        output.array(hash.map_or(0, Hash::len));
        if let Some(hash) = hash {
            hash.for_each(|_, value| output.bulk(value));
        }
    })
}

fn hdel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let fields = call.arguments.from(2);
    let key = call.key(1);
    let removed = write_hash(call, &key, |hash| {
        Ok(fields.iter().map(|field| usize::from(hash.remove(field))).sum::<usize>())
    })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn hgetdel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    // Redis looks at the key before it looks at the words.
    call.keyspace.find(&key).map(hash_of).transpose()?;
    if !call.arguments.at(2).eq_ignore_ascii_case(b"fields") {
        return Err(Refusal::new("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = parse_integer(call.arguments.at(3)).filter(|&count| count > 0);
    let count = count.ok_or_else(|| Refusal::new("ERR Number of fields must be a positive integer"))?;
    let fields = call.arguments.from(FIRST_TAKEN);
    if usize::try_from(count) != Ok(fields.len()) {
        return Err(Refusal::new("ERR The `numfields` parameter must match the number of arguments"));
    }
    let access = call.keyspace.untraced_access();
    let (limits, output) = (limits(call), &mut *call.output);
    output.array(fields.len());
    call.keyspace.shard(&key).write_hash(&key, limits, &access, |hash| {
        for field in fields.iter() {
            write_value(output, hash.hash().get(field));
            hash.remove(field);
        }
    })?;
    Ok(())
}

/// Reads the hash under the first key, none if there is no such key, and writes the reply.
///
/// # Errors
/// If the key holds something else.
pub(super) fn read_hash(
    call: &mut Call<'_, '_>,
    reply: impl FnOnce(Option<Hash<'_>>, &mut Output),
) -> Result<(), Refusal> {
    let key = call.key(1);
    let hash = call.keyspace.read(&key).map(hash_of).transpose()?;
    reply(hash, call.output);
    Ok(())
}

/// Changes the hash under a key, an empty one if there is no such key.
///
/// # Errors
/// The refusal of `write`, or that the key holds something else.
pub(super) fn write_hash<R>(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    write: impl FnOnce(&mut HashWriter<'_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let (limits, access) = (limits(call), call.keyspace.access);
    call.keyspace.shard(key).write_hash(key, limits, &access, write)?
}

/// Refuses further fields if a hash has as many as it can have.
///
/// # Errors
/// If so.
pub(super) fn require_room(hash: &HashWriter<'_>, fields: usize) -> Result<(), Refusal> {
    if hash.has_room(fields) { Ok(()) } else { Err(Refusal::new("ERR the hash has too many fields")) }
}

/// Up to where hashes are packed.
pub(super) fn limits(call: &Call<'_, '_>) -> HashLimits {
    HashLimits {
        entries: call.settings.hash_max_listpack_entries,
        value: call.settings.hash_max_listpack_value,
    }
}

/// The hash that an entry holds.
///
/// # Errors
/// If it holds something else.
pub(super) fn hash_of(entry: EntryRef<'_>) -> Result<Hash<'_>, Refusal> {
    Ok(entry.parts()?.hash()?)
}

/// Writes the value of a field, null if there is none.
pub(super) fn write_value(output: &mut Output, value: Option<Part<'_>>) {
    match value {
        Some(value) => output.bulk(&value),
        None => output.null(),
    }
}
