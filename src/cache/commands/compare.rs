//! Deleting a string that holds a certain value: DELEX and DELIFEQ, with which a lock is released by its holder only.

use super::strings::STRING;
use crate::command::{Call, Command, Flags, KeyAccess, Keys};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "delex",
        syntax: "key [IFEQ ifeq-value | IFNE ifne-value]",
        summary: "Conditionally removes the specified key based on value comparison.",
        since: "8.4.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::RemoveDelete),
        handler: delex,
        ..STRING
    },
    Command {
        name: "delifeq",
        syntax: "key value",
        summary: "Delete key if value matches string.",
        since: "9.0.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::RemoveDelete),
        handler: delifeq,
        ..STRING
    },
];

fn delex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    if arguments.len() == 2 {
        return delete_if(call, |_| true);
    }
    if arguments.len() != 4 {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    let (word, value) = (arguments.at(2), arguments.at(3));
    if word.eq_ignore_ascii_case(b"IFEQ") {
        delete_if(call, |held| held == value)
    } else if word.eq_ignore_ascii_case(b"IFNE") {
        delete_if(call, |held| held != value)
    } else {
        Err(Refusal::SYNTAX)
    }
}

fn delifeq(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let value = call.arguments.at(2);
    delete_if(call, |held| held == value)
}

fn delete_if(call: &mut Call<'_, '_>, condition: impl FnOnce(&[u8]) -> bool) -> Result<(), Refusal> {
    let key = call.key(1);
    let deletes = call.keyspace.peek(&key).is_some_and(|entry| condition(entry.value().bytes()));
    if deletes {
        call.keyspace.remove(&key);
    }
    call.output.integer(i64::from(deletes));
    Ok(())
}
