//! Whole databases: their size, emptying them, exchanging two.
//!
//! FLUSHDB and FLUSHALL take the contents out of each shard while they hold the gate alone, which takes the
//! same short time for any number of keys; a thread of its own frees them after the gate is open again.

use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "dbsize",
        summary: "Returns the number of keys in the database.",
        group: Group::Server,
        flags: Flags::READONLY.union(Flags::FAST).union(Flags::SELF_LOCKING),
        handler: Handler::Data(dbsize),
        ..Command::ROW
    },
    Command {
        name: "flushdb",
        syntax: "[ASYNC | SYNC]",
        summary: "Removes all keys from the current database.",
        complexity: "O(N) where N is the number of keys in the selected database",
        group: Group::Server,
        flags: Flags::WRITE.union(Flags::EXCLUSIVE).union(Flags::DANGEROUS),
        handler: Handler::Data(flushdb),
        ..Command::ROW
    },
    Command {
        name: "flushall",
        syntax: "[ASYNC | SYNC]",
        summary: "Removes all keys from all databases.",
        complexity: "O(N) where N is the total number of keys in all databases",
        group: Group::Server,
        flags: Flags::WRITE.union(Flags::EXCLUSIVE).union(Flags::DANGEROUS),
        handler: Handler::Data(flushall),
        ..Command::ROW
    },
    Command {
        name: "swapdb",
        syntax: "index1 index2",
        summary: "Swaps two databases.",
        complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        since: "4.0.0",
        group: Group::Server,
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::EXCLUSIVE).union(Flags::DANGEROUS),
        handler: Handler::Data(swapdb),
        ..Command::ROW
    },
];

fn dbsize(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    // What this transaction or script has written shows once it is unlocked.
    call.keyspace.unlock();
    let (keys, _) = call.keyspace.store().key_counts(call.keyspace.database);
    call.output.integer(keys as i64);
    Ok(())
}

fn flushdb(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let database = call.keyspace.database;
    flush(call, database..database + 1)
}

fn flushall(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let count = call.keyspace.store().database_count();
    flush(call, 0..count)
}

fn flush(call: &mut Call<'_, '_>, databases: std::ops::Range<usize>) -> Result<(), Refusal> {
    // Redis' SYNC frees before it answers, which nobody can tell from here; that would keep all clients waiting.
    require_freeing_word(call)?;
    let (mut contents, mut bytes) = (Vec::new(), 0);
    for database in databases {
        call.keyspace.for_each_shard(database, |shard, _| {
            bytes += shard.memory();
            contents.push(shard.clear());
        });
    }
    call.effects.discard(contents, bytes);
    call.output.ok();
    Ok(())
}

fn require_freeing_word(call: &Call<'_, '_>) -> Result<(), Refusal> {
    match call.arguments.get(1) {
        None => Ok(()),
        Some(_) if call.arguments.len() > 2 => Err(Refusal::SYNTAX),
        Some(word) if word.eq_ignore_ascii_case(b"sync") || word.eq_ignore_ascii_case(b"async") => Ok(()),
        Some(_) => Err(Refusal::SYNTAX),
    }
}

fn swapdb(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let number = |position: usize, text: &'static str| {
        let number = parse_integer(call.arguments.at(position));
        number.filter(|&number| i32::try_from(number).is_ok()).ok_or(Refusal::new(text))
    };
    let (first, second) =
        (number(1, "ERR invalid first DB index")?, number(2, "ERR invalid second DB index")?);
    let store = call.keyspace.store();
    let database = |number: i64| {
        let number = usize::try_from(number).ok().filter(|&number| number < store.database_count());
        number.ok_or(Refusal::DATABASE_OUT_OF_RANGE)
    };
    let (first, second) = (database(first)?, database(second)?);
    call.keyspace.swap_databases(first, second);
    call.services.limits.reservations.swap_databases(first, second);
    call.output.ok();
    Ok(())
}
