//! Strings: GET, SET and their kin.

use crate::cache::{Lifetime, Value};
use crate::command::{Call, Command, Flags, Group, KeyAccess, Keys};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "get",
        syntax: "key",
        summary: "Returns the string value of a key.",
        group: Group::String,
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: get,
        ..Command::ROW
    },
    Command {
        name: "set",
        syntax: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        group: Group::String,
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys::first(KeyAccess::OverwriteUpdate),
        handler: set,
        ..Command::ROW
    },
];

fn get(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    match call.keyspace.read(&key).map(|entry| entry.value()) {
        Some(Value::Inline(value)) => call.output.bulk(value),
        Some(Value::Shared(value)) => call.output.bulk_shared(value.clone()),
        None => call.output.null(),
    }
    Ok(())
}

fn set(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let moment = call.keyspace.moment;
    call.keyspace.shard(&key).set(&key, call.arguments.at(2), Lifetime::Forever, &moment);
    call.output.ok();
    Ok(())
}
