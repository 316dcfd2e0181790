//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: commands seen whole.
//!
//! EXEC locks the shards of all queued and watched keys in order, looks whether a watched key has changed, and runs
//! the queue.  If a queued command needs more than its keys, dispatch has made sure that EXEC runs alone.

use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::Arguments;

use super::counted;
use crate::cache::commands::databases::database_number;
use crate::client::{Client, ClientFlags, LongRequest, Transaction};
use crate::clock;
use crate::command::{Call, Command, Flags, Group, KeyAccess, Keys, Row};
use crate::refusal::Refusal;
use crate::store::{Keyspace, ShardId};

const CONTROL: Flags =
    Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::NO_QUEUE).union(Flags::ALLOW_BUSY);

/// Memory that a queued argument takes besides its bytes, the command's share included.
const ARGUMENT_OVERHEAD: usize = 32;

/// Memory that a watched key takes besides its bytes, with its place in the table of its shard.
const WATCH_OVERHEAD: usize = 192;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "multi",
        summary: "Starts a transaction.",
        since: "1.2.0",
        group: Group::Transactions,
        flags: CONTROL.union(Flags::FAST),
        handler: multi,
        ..Command::ROW
    },
    Command {
        name: "exec",
        summary: "Executes all commands in a transaction.",
        complexity: "Depends on commands in the transaction",
        since: "1.2.0",
        group: Group::Transactions,
        flags: CONTROL.difference(Flags::ALLOW_BUSY).union(Flags::RUNS_QUEUE).union(Flags::SKIP_SLOWLOG),
        handler: exec,
        ..Command::ROW
    },
    Command {
        name: "discard",
        summary: "Discards a transaction.",
        complexity: "O(N), when N is the number of queued commands",
        since: "2.0.0",
        group: Group::Transactions,
        flags: CONTROL.union(Flags::FAST),
        handler: discard,
        ..Command::ROW
    },
    Command {
        name: "watch",
        syntax: "key [key ...]",
        summary: "Monitors changes to keys to determine the execution of a transaction.",
        complexity: "O(1) for every key.",
        since: "2.2.0",
        group: Group::Transactions,
        flags: CONTROL.union(Flags::FAST),
        keys: Keys::all(KeyAccess::ReadOnly),
        handler: watch,
        ..Command::ROW
    },
    Command {
        name: "unwatch",
        summary: "Forgets about watched keys of a transaction.",
        since: "2.2.0",
        group: Group::Transactions,
        flags: Flags::NOSCRIPT
            .union(Flags::LOADING)
            .union(Flags::STALE)
            .union(Flags::FAST)
            .union(Flags::ALLOW_BUSY),
        handler: unwatch,
        ..Command::ROW
    },
];

/// Adds a command to the client's queue.
pub(super) fn queue(row: &Row, client: &mut Client, arguments: Arguments<'_>) {
    let Some(transaction) = &mut client.transaction else { return };
    transaction.needs_exclusive |= row.command.flags.intersects(Flags::EXCLUSIVE.union(Flags::SELF_LOCKING));
    transaction.needs_memory |= row.command.flags.contains(Flags::DENYOOM);
    transaction.held_bytes += arguments.total_bytes() + arguments.len() * ARGUMENT_OVERHEAD;
    let kept = arguments.to_owned_from(client.request.as_ref().map(|request| &request.buffer));
    transaction.queue.push((row.id, kept));
    client.shared.queued.store(transaction.queue.len() as u32 + 1, Relaxed);
}

/// Whether this is an EXEC whose queue needs the gate alone.
pub(super) fn needs_exclusive(row: &Row, client: &Client) -> bool {
    row.command.flags.contains(Flags::RUNS_QUEUE)
        && client.transaction.as_ref().is_some_and(|transaction| transaction.needs_exclusive)
}

/// What a refused command does to its client's transaction, and what the client is told: a transaction will be
/// aborted at its EXEC, and ends if that itself is refused.
pub(super) fn refused(
    row: Option<&Row>,
    client: &mut Client,
    keyspace: &mut Keyspace<'_>,
    refusal: Refusal,
) -> Refusal {
    if !client.in_transaction() {
        return refusal;
    }
    if row.is_some_and(|row| row.command.flags.contains(Flags::RUNS_QUEUE)) {
        client.forget_transaction(keyspace);
        let reason = refusal.text().strip_prefix(b"ERR ").unwrap_or(refusal.text());
        return Refusal::new([b"EXECABORT Transaction discarded because of: ", reason].concat());
    }
    if let Some(transaction) = &mut client.transaction {
        transaction.aborted = true;
    }
    refusal
}

/// Whether memory is looked after before a command: before all that may take some.
pub(super) fn may_need_memory(row: &Row, client: &Client) -> bool {
    let flags = row.command.flags;
    flags.intersects(Flags::WRITE.union(Flags::DENYOOM).union(Flags::RUNS_QUEUE)) || client.in_transaction()
}

/// Whether a command is refused when there is no memory: if it may take some, or if it is EXEC and a queued command may.
/// What reads and frees is queued and run: queues have a limit of their own.
pub(super) fn is_refused_without_memory(row: &Row, client: &Client) -> bool {
    let flags = row.command.flags;
    if flags.contains(Flags::RUNS_QUEUE) {
        return client.transaction.as_ref().is_some_and(|transaction| transaction.needs_memory);
    }
    flags.contains(Flags::DENYOOM)
}

/// What an EXEC that could not even begin is told; its transaction is gone.
pub(super) fn abandoned(refusal: &Refusal) -> Refusal {
    let reason = refusal.text().strip_prefix(b"ERR ").unwrap_or(refusal.text());
    Refusal::new([b"EXECABORT Transaction discarded because of: ", reason].concat())
}

fn multi(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.client.in_transaction() {
        return Err(Refusal::new("ERR MULTI calls can not be nested"));
    }
    call.client.transaction.get_or_insert_default().started = true;
    call.client.shared.set_flag(ClientFlags::MULTI, true);
    call.client.shared.queued.store(1, Relaxed);
    call.output.ok();
    Ok(())
}

fn exec(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if !call.client.in_transaction() {
        return Err(Refusal::new("ERR EXEC without MULTI"));
    }
    let Some(transaction) = call.client.transaction.take() else { return Ok(()) };
    call.client.clear_transaction_marks();
    lock_all(call, &transaction);
    let changed = end_watches(call.keyspace, &transaction);
    if transaction.aborted {
        return Err(Refusal::TRANSACTION_ABORTED);
    }
    if changed {
        call.output.null_array();
        return Ok(());
    }
    call.output.array(transaction.queue.len());
    call.client.in_exec = true;
    let mut ticks = clock::ticks();
    for (id, arguments) in &transaction.queue {
        let row = &call.services.commands.rows()[*id];
        call.keyspace.database = call.client.database;
        if call.keyspace.is_exclusive() {
            // A command that walks the store must find nothing locked: neither by the watches nor by the one before.
            call.keyspace.unlock();
        }
        call.client.request =
            arguments.shared().map(|buffer| LongRequest { buffer: buffer.clone(), copied: Vec::new() });
        let mut queued = Call {
            arguments: arguments.as_arguments(),
            row,
            client: &mut *call.client,
            keyspace: &mut *call.keyspace,
            output: &mut *call.output,
            effects: &mut *call.effects,
            continuation: &mut *call.continuation,
            random: &mut *call.random,
            services: call.services,
            settings: &mut *call.settings,
            first_hash: None,
            slot: call.slot,
        };
        // Time stands still inside a transaction, whatever the end of a slow command would say.
        let _ = counted::run(&mut queued, &mut ticks);
    }
    call.client.in_exec = false;
    call.client.request = None;
    Ok(())
}

/// Locks the shards of all keys the transaction names, unless it runs alone.
fn lock_all(call: &mut Call<'_, '_>, transaction: &Transaction) {
    if call.keyspace.is_exclusive() {
        return;
    }
    let store = call.keyspace.store();
    let mut ids: Vec<ShardId> = transaction.watched_shards(store).into_iter().map(|(id, _)| id).collect();
    let mut database = call.client.database;
    for (id, arguments) in &transaction.queue {
        let row = &call.services.commands.rows()[*id];
        let arguments = arguments.as_arguments();
        for position in row.command.keys.positions(arguments) {
            ids.push(store.shard_of(database, store.key(arguments.at(position)).hash));
        }
        if row.command.name == "select"
            && let Ok(selected) = database_number(store, arguments.at(1))
        {
            database = selected;
        }
    }
    call.keyspace.lock_many(&mut ids);
}

/// Ends the watches, whose shards are locked, and tells whether one of the keys has changed or expired.
fn end_watches(keyspace: &mut Keyspace<'_>, transaction: &Transaction) -> bool {
    let access = keyspace.access;
    for (id, key) in transaction.watched_shards(keyspace.store()) {
        let key = keyspace.store().key(key);
        let shard = keyspace.shard_by_id(id);
        // Looking at a key whose deadline has passed removes it, which counts as a change.
        shard.peek(&key, &access);
        shard.unwatch(key.bytes, &transaction.changed);
    }
    transaction.changed.load(Relaxed)
}

fn discard(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if !call.client.in_transaction() {
        return Err(Refusal::new("ERR DISCARD without MULTI"));
    }
    call.client.forget_transaction(call.keyspace);
    call.output.ok();
    Ok(())
}

fn watch(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.client.in_transaction() {
        return Err(Refusal::new("ERR WATCH inside MULTI is not allowed"));
    }
    let database = call.client.database;
    let transaction = call.client.transaction.get_or_insert_default();
    for position in call.row.command.keys.positions(call.arguments) {
        let key = call.keyspace.store().key(call.arguments.at(position));
        let access = call.keyspace.access;
        let shard = call.keyspace.shard(&key);
        shard.peek(&key, &access);
        if shard.watch(key.bytes, &transaction.changed) {
            transaction.watched.push((database, key.bytes.into()));
            transaction.held_bytes += key.bytes.len() + WATCH_OVERHEAD;
        }
    }
    call.client.shared.watched.store(transaction.watched.len() as u32, Relaxed);
    call.output.ok();
    Ok(())
}

fn unwatch(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    // Queued in a transaction it has nothing left to do: EXEC has ended the watches.
    if !call.client.in_transaction() {
        call.client.forget_transaction(call.keyspace);
    }
    call.output.ok();
    Ok(())
}
