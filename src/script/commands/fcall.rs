//! FCALL and FCALL_RO: calling a function of a library.

use std::sync::Arc;

use quartet_protocol::resp::number::parse_integer;

use super::eval::{KEYS, READ_KEYS, RUNS};
use crate::command::{Call, Command, Flags, Group, Handler};
use crate::refusal::Refusal;
use crate::script::program::Program;
use crate::script::{loading, running};

const FCALL: Command = Command {
    name: "fcall",
    syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Invokes a function.",
    complexity: "Depends on the function that is executed.",
    since: "7.0.0",
    group: Group::Scripting,
    flags: RUNS,
    keys: KEYS,
    handler: Handler::Data(|call| fcall(call, false)),
    ..Command::ROW
};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    FCALL,
    Command {
        name: "fcall_ro",
        summary: "Invokes a read-only function.",
        flags: RUNS.union(Flags::READONLY),
        keys: READ_KEYS,
        handler: Handler::Data(|call| fcall(call, true)),
        ..FCALL
    },
];

/// Where the keys begin.
const FIRST_KEY: usize = 3;

fn fcall(call: &mut Call<'_, '_>, is_readonly: bool) -> Result<(), Refusal> {
    if !running::show(call) {
        return Ok(());
    }
    let table = Arc::clone(&call.services.scripts.libraries.load());
    let found = table.function(call.arguments.at(1));
    let (library, function) = found.ok_or_else(|| Refusal::new("ERR Function not found"))?;
    let count = key_count(call)?;
    loading::require(call, library)?;
    let (keys, arguments) = (call.arguments.from(FIRST_KEY), call.arguments.from(FIRST_KEY + count));
    let program = Program::Function(library, function);
    running::with_engine(|engine| {
        running::run(engine, call, program, keys.up_to(count), arguments, is_readonly)
    })
}

/// How many keys there are.
fn key_count(call: &Call<'_, '_>) -> Result<usize, Refusal> {
    let number = parse_integer(call.arguments.at(2));
    let number = number.ok_or_else(|| Refusal::new("ERR Bad number of keys provided"))?;
    if number > (call.arguments.len() - FIRST_KEY) as i64 {
        return Err(Refusal::TOO_MANY_KEYS);
    }
    usize::try_from(number).map_err(|_| Refusal::NEGATIVE_KEYS)
}
