//! What a client says about its connection: PING, HELLO, AUTH, SELECT, CLIENT and their like.

use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::cache::Store;
use crate::command::{Call, Command, Flags, Group};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "ping",
        syntax: "[message]",
        summary: "Returns the server's liveliness response.",
        group: Group::Connection,
        flags: Flags::FAST.union(Flags::WHILE_SUBSCRIBED),
        handler: ping,
        ..Command::ROW
    },
    Command {
        name: "select",
        syntax: "index",
        summary: "Changes the selected database.",
        group: Group::Connection,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
        handler: select,
        ..Command::ROW
    },
];

fn ping(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    match call.arguments.get(1) {
        Some(_) if call.arguments.len() > 2 => return Err(Refusal::wrong_arity("ping")),
        Some(message) => call.output.bulk(message),
        None => call.output.simple("PONG"),
    }
    Ok(())
}

fn select(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let database =
        database_argument(call.keyspace.store(), call.arguments).ok_or_else(|| {
            match parse_integer(call.arguments.at(1)) {
                Some(_) => Refusal::DATABASE_OUT_OF_RANGE,
                None => Refusal::new("ERR invalid DB index"),
            }
        })?;
    call.client.database = database;
    call.client.shared.database.store(database as u32, Relaxed);
    call.output.ok();
    Ok(())
}

/// The database that a SELECT names, if it exists.
pub fn database_argument(store: &Store, arguments: Arguments<'_>) -> Option<usize> {
    let index = usize::try_from(parse_integer(arguments.get(1)?)?).ok()?;
    (index < store.database_count()).then_some(index)
}
