//! Keys of any type: whether they are there, and giving them up or other names.

use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys, database_number};
use crate::refusal::Refusal;
use crate::store::Key;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "del",
        syntax: "key [key ...]",
        summary: "Deletes one or more keys.",
        complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value \
                     other than a string, the individual complexity for this key is O(M) where M is the number of \
                     elements in the list, set, sorted set or hash. Removing a single key that holds a string value \
                     is O(1).",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::QUICK),
        keys: Keys::all(KeyAccess::RemoveDelete),
        handler: Handler::Data(del),
        ..Command::ROW
    },
    Command {
        name: "unlink",
        syntax: "key [key ...]",
        summary: "Asynchronously deletes one or more keys.",
        complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a \
                     different thread in order to reclaim memory, where N is the number of allocations the deleted \
                     objects where composed of.",
        since: "4.0.0",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::all(KeyAccess::RemoveDelete),
        handler: Handler::Data(del),
        ..Command::ROW
    },
    Command {
        name: "exists",
        syntax: "key [key ...]",
        summary: "Determines whether one or more keys exist.",
        complexity: "O(N) where N is the number of keys to check.",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::all(KeyAccess::ReadOnly),
        handler: Handler::Data(exists),
        ..Command::ROW
    },
    Command {
        name: "touch",
        syntax: "key [key ...]",
        summary: "Returns the number of existing keys out of those specified after updating the time they were last \
                  accessed.",
        complexity: "O(N) where N is the number of keys that will be touched.",
        since: "3.2.1",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::all(KeyAccess::ReadOnly),
        handler: Handler::Data(touch),
        ..Command::ROW
    },
    Command {
        name: "type",
        syntax: "key",
        summary: "Determines the type of value stored at a key.",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadOnly),
        handler: Handler::Data(type_of),
        ..Command::ROW
    },
    Command {
        name: "rename",
        syntax: "key newkey",
        summary: "Renames a key and overwrites the destination.",
        group: Group::Generic,
        flags: Flags::WRITE,
        keys: Keys::source_and_destination(KeyAccess::ReadWriteAccessDelete, KeyAccess::OverwriteUpdate),
        handler: Handler::Data(rename),
        ..Command::ROW
    },
    Command {
        name: "renamenx",
        syntax: "key newkey",
        summary: "Renames a key only when the target key name doesn't exist.",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::source_and_destination(KeyAccess::ReadWriteAccessDelete, KeyAccess::OverwriteInsert),
        handler: Handler::Data(renamenx),
        ..Command::ROW
    },
    Command {
        name: "copy",
        syntax: "source destination [DB destination-db] [REPLACE]",
        summary: "Copies the value of a key to a new key.",
        complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
        since: "6.2.0",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::EXCLUSIVE),
        keys: Keys::source_and_destination(KeyAccess::ReadAccess, KeyAccess::OverwriteUpdate),
        handler: Handler::Data(copy),
        ..Command::ROW
    },
    Command {
        name: "move",
        syntax: "key db",
        summary: "Moves a key to another database.",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::EXCLUSIVE),
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
        handler: Handler::Data(move_key),
        ..Command::ROW
    },
];

fn del(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let removed = count_keys(call, |call, key| call.keyspace.remove(key));
    call.output.integer(removed);
    Ok(())
}

fn exists(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let found = count_keys(call, |call, key| call.keyspace.inspect(key).is_some());
    call.output.integer(found);
    Ok(())
}

fn touch(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    // TOUCH counts as an access even for a client whose other accesses leave no trace.
    let access = call.keyspace.access;
    call.keyspace.access.recency = access.recency.with_traces();
    let found = count_keys(call, |call, key| call.keyspace.read(key).is_some());
    call.keyspace.access = access;
    call.output.integer(found);
    Ok(())
}

/// For how many of the arguments as keys `is_counted` holds, a key named twice being asked twice.
fn count_keys(call: &mut Call<'_, '_>, is_counted: impl Fn(&mut Call<'_, '_>, &Key<'_>) -> bool) -> i64 {
    let mut count = 0;
    for position in 1..call.arguments.len() {
        let key = call.key(position);
        count += i64::from(is_counted(call, &key));
    }
    count
}

fn type_of(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let store = call.keyspace.store();
    let name = call.keyspace.inspect(&key).map_or("none", |entry| store.type_name(entry.value_type()));
    call.output.simple(name);
    Ok(())
}

fn rename(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    rename_unless(call, |_, _| false)?;
    call.output.ok();
    Ok(())
}

fn renamenx(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let renamed = rename_unless(call, |call, destination| call.keyspace.contains(destination))?;
    call.output.integer(i64::from(renamed));
    Ok(())
}

/// Renames the first argument to the second and returns true, unless the destination `is_refused`.
fn rename_unless(
    call: &mut Call<'_, '_>,
    is_refused: impl Fn(&mut Call<'_, '_>, &Key<'_>) -> bool,
) -> Result<bool, Refusal> {
    let (source, destination) = (call.key(1), call.key(2));
    if !call.keyspace.contains(&source) {
        return Err(Refusal::NO_SUCH_KEY);
    }
    if is_refused(call, &destination) {
        return Ok(false);
    }
    if source.bytes == destination.bytes {
        return Ok(true);
    }
    let access = call.keyspace.access;
    let entry = call.keyspace.shard(&source).take(&source, &access).ok_or(Refusal::NO_SUCH_KEY)?;
    let recency = entry.view().recency();
    let renamed = entry.renamed(destination.bytes);
    call.keyspace.shard(&destination).insert_moved(&destination, renamed, recency, &access);
    Ok(true)
}

fn copy(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (source, destination) = (call.key(1), call.key(2));
    let CopyOptions { database, replace } = copy_options(call)?;
    if database == call.keyspace.database && source.bytes == destination.bytes {
        return Err(Refusal::SAME_OBJECT);
    }
    if call.keyspace.read(&source).is_none() {
        call.output.integer(0);
        return Ok(());
    }
    let access = call.keyspace.access;
    let is_taken = call.keyspace.shard_in(database, &destination).read(&destination, &access).is_some();
    // A large value takes long to copy, so that is done only if the copy has a place.
    let copied = (replace || !is_taken)
        .then(|| call.keyspace.peek(&source).map(|entry| entry.copied_to(destination.bytes)))
        .flatten();
    call.output.integer(i64::from(copied.is_some()));
    if let Some(copied) = copied {
        call.keyspace.shard_in(database, &destination).insert_entry(&destination, copied, &access);
    }
    Ok(())
}

struct CopyOptions {
    database: usize,
    replace: bool,
}

fn copy_options(call: &Call<'_, '_>) -> Result<CopyOptions, Refusal> {
    let mut options = CopyOptions { database: call.keyspace.database, replace: false };
    let mut words = call.arguments.from(3).iter();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"replace") {
            options.replace = true;
        } else if word.eq_ignore_ascii_case(b"db") {
            options.database = database_number(call.keyspace.store(), words.next().ok_or(Refusal::SYNTAX)?)?;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok(options)
}

fn move_key(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let database = database_number(call.keyspace.store(), call.arguments.at(2))?;
    if database == call.keyspace.database {
        return Err(Refusal::SAME_OBJECT);
    }
    let access = call.keyspace.access;
    let movable =
        call.keyspace.contains(&key) && call.keyspace.shard_in(database, &key).read(&key, &access).is_none();
    if movable && let Some(entry) = call.keyspace.shard(&key).take(&key, &access) {
        let recency = entry.view().recency();
        call.keyspace.shard_in(database, &key).insert_moved(&key, entry, recency, &access);
    }
    call.output.integer(i64::from(movable));
    Ok(())
}
