//! Deleting a string that holds a certain value: DELEX and DELIFEQ, with which a lock is released by its holder only.

use super::strings::STRING;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{EntryRef, WrongType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "delex",
        syntax: "key [IFEQ ifeq-value | IFNE ifne-value]",
        summary: "Conditionally removes the specified key based on value comparison.",
        since: "8.4.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::RemoveDelete),
        handler: Handler::Data(delex),
        ..STRING
    },
    Command {
        name: "delifeq",
        syntax: "key value",
        summary: "Delete key if value matches string.",
        since: "9.0.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::RemoveDelete),
        handler: Handler::Data(delifeq),
        ..STRING
    },
];

fn delex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    if arguments.len() == 2 {
        let deleted = call.keyspace.remove(&call.key(1));
        call.output.integer(i64::from(deleted));
        return Ok(());
    }
    if arguments.len() != 4 {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    let (word, value) = (arguments.at(2), arguments.at(3));
    let wrong_kind = Refusal::new("ERR Key should be of string type if conditions are specified");
    if word.eq_ignore_ascii_case(b"IFEQ") {
        delete_if(call, wrong_kind, |held| held == value)
    } else if word.eq_ignore_ascii_case(b"IFNE") {
        delete_if(call, wrong_kind, |held| held != value)
    } else {
        Err(Refusal::SYNTAX)
    }
}

fn delifeq(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let value = call.arguments.at(2);
    delete_if(call, Refusal::WRONG_TYPE, |held| held == value)
}

/// Deletes a string for which `condition` holds; values of other types are refused.
fn delete_if(
    call: &mut Call<'_, '_>,
    wrong_kind: Refusal,
    condition: impl FnOnce(&[u8]) -> bool,
) -> Result<(), Refusal> {
    let key = call.key(1);
    let deletes = match call.keyspace.find(&key).map(EntryRef::string) {
        Some(Ok(value)) => condition(value.bytes()),
        Some(Err(WrongType)) => return Err(wrong_kind),
        None => false,
    };
    if deletes {
        call.keyspace.remove(&key);
    }
    call.output.integer(i64::from(deletes));
    Ok(())
}
