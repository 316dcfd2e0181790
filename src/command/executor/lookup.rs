//! Finding the row and the first key of requests before they run.

use quartet_protocol::resp::{Arguments, Batch};
use smallvec::SmallVec;

use super::{BATCH_LIMIT, unknown};
use crate::command::{Parts, Row, Services};
use crate::refusal::Refusal;
use crate::store::{Key, PARTS_MAX, ShardId, Store};

/// The facts about a request before it runs.
#[derive(Clone, Copy)]
pub(super) struct Found<'s> {
    /// The command; none if there is no such command.  The row of a family if its subcommand is unknown.
    pub row: Option<&'s Row>,
    /// The first key, if the command has any.
    pub key: Option<FoundKey>,
}

/// A key and where it lies.
#[derive(Clone, Copy)]
pub(super) struct FoundKey {
    pub hash: u64,
    /// Its shard in the database that was selected at the start of the batch.
    pub shard: ShardId,
}

/// The row of a request, if there is such a command; that of a family if its subcommand is unknown.
pub(super) fn find_row<'s>(services: &'s Services, arguments: Arguments<'_>) -> Option<&'s Row> {
    let row = services.commands.find(arguments.at(0))?;
    let subcommand = match arguments.get(1) {
        Some(name) if !row.subcommands.is_empty() => services.commands.find_subcommand(row, name),
        _ => None,
    };
    Some(subcommand.unwrap_or(row))
}

// Inlined, or its result would be copied, and the processor would wait for it to be written first.
#[inline(always)]
pub(super) fn find<'s>(services: &'s Services, database: usize, arguments: Arguments<'_>) -> Found<'s> {
    let Some(mut row) = services.commands.find(arguments.at(0)) else {
        return Found { row: None, key: None };
    };
    if !row.subcommands.is_empty()
        && let Some(name) = arguments.get(1)
    {
        match services.commands.find_subcommand(row, name) {
            Some(subcommand) => row = subcommand,
            None => return Found { row: Some(row), key: None },
        }
    }
    let keys = row.command.keys;
    let key = keys.first_position(arguments).map(|first| {
        let hash = services.store.key(arguments.at(first)).hash;
        FoundKey { hash, shard: services.store.shard_of(database, hash) }
    });
    Found { row: Some(row), key }
}

/// Looks up a batch in three passes, each of which asks for the memory that the next one needs: the shard's header, the
/// bucket, the entry.  A key that several requests name one after the other is asked for once.
pub(super) fn find_batch<'s>(
    services: &'s Services,
    database: usize,
    batch: &Batch,
    buffer: &[u8],
    all: &mut SmallVec<[Found<'s>; BATCH_LIMIT]>,
) {
    let store = &services.store;
    let mut keys: SmallVec<[FoundKey; BATCH_LIMIT]> = SmallVec::new();
    for index in 0..batch.len() {
        let found = find(services, database, batch.arguments(index, buffer));
        if let Some(key) = found.key
            && keys.last().is_none_or(|last| last.hash != key.hash)
        {
            store.prefetch_shard(key.shard);
            keys.push(key);
        }
        all.push(found);
    }
    prefetch(store, keys.iter().copied());
}

/// Asks for the buckets and then for the entries of keys whose shards were asked for.
pub(super) fn prefetch(store: &Store, keys: impl Iterator<Item = FoundKey> + Clone) {
    keys.clone().for_each(|key| store.prefetch_bucket(key.shard, key.hash));
    keys.for_each(|key| store.prefetch_entry(key.shard, key.hash));
}

/// Asks for the parts of one value that the requests from `first` on look for, as far as they name the same key one after the
/// other, and returns the number of the request behind them.
pub(super) fn prefetch_parts(
    store: &Store,
    batch: &Batch,
    buffer: &[u8],
    all: &[Found<'_>],
    first: usize,
) -> usize {
    let parts_of = |found: &Found<'_>| found.row.map_or(Parts::NONE, |row| row.command.parts);
    let Some(key) = all[first].key.filter(|_| !parts_of(&all[first]).are_none()) else { return first + 1 };
    let is_alike = |found: &&Found<'_>| {
        !parts_of(found).are_none() && found.key.is_some_and(|other| other.hash == key.hash)
    };
    let end = first + all[first..].iter().take_while(is_alike).count();
    let of_request = |index: usize| parts_of(&all[index]).of(batch.arguments(index, buffer));
    let parts: SmallVec<[&[u8]; PARTS_MAX]> = (first..end).flat_map(of_request).take(PARTS_MAX).collect();
    // A single one is no sooner there for being asked for.
    if parts.len() > 1
        && let Some(bytes) = batch.arguments(first, buffer).get(1)
    {
        store.prefetch_parts(key.shard, &Key { bytes, hash: key.hash }, &parts);
    }
    end
}

/// The row of a request, if the request has as many arguments as the command takes.
///
/// # Errors
/// If it has not, or there is no such command.
pub(super) fn resolve<'s>(services: &'s Services, arguments: Arguments<'_>) -> Result<&'s Row, Refusal> {
    let row = find(services, 0, arguments).row.ok_or_else(|| unknown::command(arguments))?;
    check_arguments(row, arguments)?;
    Ok(row)
}

/// Whether a request has as many arguments as its command takes.
///
/// # Errors
/// If it has not, or its subcommand is unknown.
pub(super) fn check_arguments(row: &Row, arguments: Arguments<'_>) -> Result<(), Refusal> {
    if !row.subcommands.is_empty() && arguments.len() > 1 {
        return Err(unknown::subcommand(row, arguments));
    }
    if !row.accepts(arguments.len()) {
        return Err(row.explained(Refusal::wrong_arity(&row.name)));
    }
    Ok(())
}
