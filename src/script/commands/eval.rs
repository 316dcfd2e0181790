//! EVAL, EVALSHA and their read-only forms: running a script.

use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::script::engine::{Compiled, Engine};
use crate::script::program::Program;
use crate::script::running;
use crate::script::texts::id_from;

pub(super) const RUNS: Flags = Flags::NOSCRIPT
    .union(Flags::STALE)
    .union(Flags::SKIP_MONITOR)
    .union(Flags::NO_MANDATORY_KEYS)
    .union(Flags::RUNS_SCRIPT);

/// The keys of a script that may write, and of one that may not.
pub(super) const KEYS: Keys = Keys::counted(2, KeyAccess::ReadWriteAccessUpdate)
    .with_note("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE");
pub(super) const READ_KEYS: Keys = Keys::counted(2, KeyAccess::ReadAccess)
    .with_note("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS");

const COMPLEXITY: &str = "Depends on the script that is executed.";

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "eval",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Executes a server-side Lua script.",
        complexity: COMPLEXITY,
        since: "2.6.0",
        group: Group::Scripting,
        flags: RUNS,
        keys: KEYS,
        handler: Handler::Data(|call| eval(call, false)),
        ..Command::ROW
    },
    Command {
        name: "evalsha",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Executes a server-side Lua script by SHA1 digest.",
        complexity: COMPLEXITY,
        since: "2.6.0",
        group: Group::Scripting,
        flags: RUNS,
        keys: KEYS,
        handler: Handler::Data(|call| evalsha(call, false)),
        ..Command::ROW
    },
    Command {
        name: "eval_ro",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Executes a read-only server-side Lua script.",
        complexity: COMPLEXITY,
        since: "7.0.0",
        group: Group::Scripting,
        flags: RUNS.union(Flags::READONLY),
        keys: READ_KEYS,
        handler: Handler::Data(|call| eval(call, true)),
        ..Command::ROW
    },
    Command {
        name: "evalsha_ro",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Executes a read-only server-side Lua script by SHA1 digest.",
        complexity: COMPLEXITY,
        since: "7.0.0",
        group: Group::Scripting,
        flags: RUNS.union(Flags::READONLY),
        keys: READ_KEYS,
        handler: Handler::Data(|call| evalsha(call, true)),
        ..Command::ROW
    },
];

/// Where the keys begin.
const FIRST_KEY: usize = 3;

fn eval(call: &mut Call<'_, '_>, is_readonly: bool) -> Result<(), Refusal> {
    if !running::show(call) {
        return Ok(());
    }
    let count = key_count(call)?;
    running::with_engine(|engine| {
        let script = running::add(engine, call, call.arguments.at(1), false)?;
        run(engine, call, &script, count, is_readonly)
    })
}

fn evalsha(call: &mut Call<'_, '_>, is_readonly: bool) -> Result<(), Refusal> {
    if !running::show(call) {
        return Ok(());
    }
    let id = id_from(call.arguments.at(1)).ok_or(Refusal::NO_SCRIPT)?;
    let count = key_count(call)?;
    running::with_engine(|engine| {
        let script = running::find(engine, call, &id)?;
        run(engine, call, &script, count, is_readonly)
    })
}

fn run(
    engine: &mut Engine,
    call: &mut Call<'_, '_>,
    script: &Compiled,
    count: usize,
    is_readonly: bool,
) -> Result<(), Refusal> {
    let (keys, arguments) = (call.arguments.from(FIRST_KEY), call.arguments.from(FIRST_KEY + count));
    running::run(engine, call, Program::Script(script), keys.up_to(count), arguments, is_readonly)
}

/// How many keys there are.
fn key_count(call: &Call<'_, '_>) -> Result<usize, Refusal> {
    let number = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let following = call.arguments.len() - FIRST_KEY;
    if number > following as i64 {
        return Err(Refusal::TOO_MANY_KEYS);
    }
    usize::try_from(number).map_err(|_| Refusal::NEGATIVE_KEYS)
}
