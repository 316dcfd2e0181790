//! Several strings at once: MGET, MSET, MSETNX.

use super::strings::{STRING, reply_value};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::Lifetime;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "mget",
        syntax: "key [key ...]",
        summary: "Atomically returns the string values of one or more keys.",
        complexity: "O(N) where N is the number of keys to retrieve.",
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::all(KeyAccess::ReadAccess),
        handler: Handler::Data(mget),
        ..STRING
    },
    Command {
        name: "mset",
        syntax: "key value [key value ...]",
        summary: "Atomically creates or modifies the string values of one or more keys.",
        complexity: "O(N) where N is the number of keys to set.",
        since: "1.0.1",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys { first: 1, last: -1, step: 2, access: KeyAccess::OverwriteUpdate, ..Keys::NONE },
        handler: Handler::Data(mset),
        ..STRING
    },
    Command {
        name: "msetnx",
        syntax: "key value [key value ...]",
        summary: "Atomically modifies the string values of one or more keys only when all keys don't exist.",
        complexity: "O(N) where N is the number of keys to set.",
        since: "1.0.1",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys { first: 1, last: -1, step: 2, access: KeyAccess::OverwriteInsert, ..Keys::NONE },
        handler: Handler::Data(msetnx),
        ..STRING
    },
];

fn mget(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.array(call.arguments.len() - 1);
    for position in 1..call.arguments.len() {
        let key = call.key(position);
        if reply_value(call.output, call.keyspace.read(&key)).is_err() {
            call.output.null();
        }
    }
    Ok(())
}

fn mset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    require_pairs(call)?;
    set_pairs(call)?;
    call.output.ok();
    Ok(())
}

fn msetnx(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    require_pairs(call)?;
    let any_exists = (1..call.arguments.len()).step_by(2).any(|position| {
        let key = call.key(position);
        call.keyspace.contains(&key)
    });
    if !any_exists {
        set_pairs(call)?;
    }
    call.output.integer(i64::from(!any_exists));
    Ok(())
}

fn require_pairs(call: &Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len().is_multiple_of(2) {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    Ok(())
}

fn set_pairs(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut values = (2..call.arguments.len()).step_by(2).map(|position| call.arguments.at(position));
    values.try_for_each(|value| call.require_value_size(value.len()))?;
    let access = call.keyspace.access;
    for position in (1..call.arguments.len()).step_by(2) {
        let key = call.key(position);
        call.write_string(&key, position + 1, Lifetime::Forever, &access)?;
    }
    Ok(())
}
