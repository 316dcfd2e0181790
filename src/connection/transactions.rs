//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: a client's commands that others see as one.
//!
//! EXEC locks the shards of all queued and watched keys in their order, sees whether a watched key has changed, and runs
//! the queue.  If a queued command needs more than its keys, the executor has given EXEC the gate alone.

use std::sync::atomic::Ordering::Relaxed;

use crate::client::ClientFlags;
use crate::command::executor::discarded;
use crate::command::{Command, Flags, Group, Handler, KeyAccess, Keys, SessionCall, Transaction};
use crate::refusal::Refusal;
use crate::store::{HeldForLong, Keyspace};

const CONTROL: Flags =
    Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::NO_QUEUE).union(Flags::ALLOW_BUSY);

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
        handler: Handler::Session(multi),
        ..Command::ROW
    },
    Command {
        name: "exec",
        summary: "Executes all commands in a transaction.",
        complexity: "Depends on commands in the transaction",
        since: "1.2.0",
        group: Group::Transactions,
        flags: CONTROL.difference(Flags::ALLOW_BUSY).union(Flags::RUNS_QUEUE).union(Flags::SKIP_SLOWLOG),
        handler: Handler::Session(exec),
        ..Command::ROW
    },
    Command {
        name: "discard",
        summary: "Discards a transaction.",
        complexity: "O(N), when N is the number of queued commands",
        since: "2.0.0",
        group: Group::Transactions,
        flags: CONTROL.union(Flags::FAST),
        handler: Handler::Session(discard),
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
        handler: Handler::Session(watch),
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
        handler: Handler::Session(unwatch),
        ..Command::ROW
    },
];

fn multi(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if call.client.in_transaction() {
        return Err(Refusal::new("ERR MULTI calls can not be nested"));
    }
    call.client.transaction.get_or_insert_default().started = true;
    call.client.resp().set_flag(ClientFlags::MULTI, true);
    call.client.resp().queued.store(1, Relaxed);
    call.output.ok();
    Ok(())
}

fn exec(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if !call.client.in_transaction() {
        return Err(Refusal::new("ERR EXEC without MULTI"));
    }
    let Some(transaction) = call.client.transaction.take() else { return Ok(()) };
    let watched = transaction.watched_shards(call.keyspace.store()).into_iter().map(|(id, _)| id).collect();
    if let Err(reason) = transaction.queue.lock(&mut call.data, watched) {
        call.client.transaction = Some(transaction);
        if reason != HeldForLong::ByScript {
            return call.data.hold_up(reason);
        }
        call.client.forget_transaction(call.data.keyspace, &call.data.services.key_waiters);
        return Err(discarded(&call.data.services.busy()));
    }
    call.client.clear_transaction_marks();
    let changed = end_watches(call.keyspace, &transaction);
    if transaction.aborted {
        return Err(Refusal::TRANSACTION_ABORTED);
    }
    if changed {
        call.output.null_array();
        return Ok(());
    }
    // Commands of the queue that show clients show that this one is in a transaction.
    call.client.resp().set_flag(ClientFlags::MULTI, true);
    transaction.queue.run(&mut call.data, Some(call.client));
    call.client.resp().set_flag(ClientFlags::MULTI, false);
    Ok(())
}

/// Ends the watches, whose shards are locked, and returns whether one of the keys has changed or expired.
fn end_watches(keyspace: &mut Keyspace<'_>, transaction: &Transaction) -> bool {
    let access = keyspace.access;
    for (id, key) in transaction.watched_shards(keyspace.store()) {
        let key = keyspace.store().key(key);
        let shard = keyspace.shard_by_id(id);
        // A look at a key whose deadline has passed removes it, which counts as a change.
        shard.peek(&key, &access);
        shard.unwatch(key.bytes, &transaction.changed);
    }
    transaction.changed.load(Relaxed)
}

fn discard(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if !call.client.in_transaction() {
        return Err(Refusal::new("ERR DISCARD without MULTI"));
    }
    call.client.forget_transaction(call.data.keyspace, &call.data.services.key_waiters);
    call.output.ok();
    Ok(())
}

fn watch(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if call.client.in_transaction() {
        return Err(Refusal::new("ERR WATCH inside MULTI is not allowed"));
    }
    let SessionCall { data, client } = call;
    let transaction = client.transaction.get_or_insert_default();
    for position in data.row.command.keys.positions(data.arguments) {
        let key = data.keyspace.store().key(data.arguments.at(position));
        if !data.keyspace.has_locked(&key) {
            // A script that runs for long holds it, and may write to it before or after this.
            transaction.changed.store(true, Relaxed);
            continue;
        }
        let access = data.keyspace.access;
        let shard = data.keyspace.shard(&key);
        shard.peek(&key, &access);
        if shard.watch(key.bytes, &transaction.changed) {
            transaction.watched.push((data.caller.database, key.bytes.into()));
            transaction.watched_bytes += key.bytes.len() + WATCH_OVERHEAD;
        }
    }
    let watched = transaction.watched.len() as u32;
    client.resp().watched.store(watched, Relaxed);
    call.output.ok();
    Ok(())
}

fn unwatch(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    // Queued in a transaction it has nothing left to do: EXEC has ended the watches.
    if !call.client.in_transaction() {
        call.client.forget_transaction(call.data.keyspace, &call.data.services.key_waiters);
    }
    call.output.ok();
    Ok(())
}
