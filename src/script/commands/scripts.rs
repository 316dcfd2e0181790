//! SCRIPT: the scripts that the server knows.

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::refusal::Refusal;
use crate::script::texts::id_from;
use crate::script::{Kind, running};

const SCRIPT: Command =
    Command { group: Group::Scripting, since: "2.6.0", flags: Flags::NOSCRIPT, ..Command::ROW };

/// The family's row.
pub const COMMANDS: &[Command] = &[Command {
    name: "script",
    summary: "A container for Lua scripts management commands.",
    complexity: "Depends on subcommand.",
    since: "2.6.0",
    group: Group::Scripting,
    subcommands: &[
        Command {
            name: "debug",
            syntax: "<YES | SYNC | NO>",
            summary: "Sets the debug mode of server-side Lua scripts.",
            since: "3.2.0",
            handler: Handler::Data(debug),
            ..SCRIPT
        },
        Command {
            name: "exists",
            syntax: "sha1 [sha1 ...]",
            summary: "Determines whether server-side Lua scripts exist in the script cache.",
            complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) \
                         operation).",
            handler: Handler::Data(exists),
            ..SCRIPT
        },
        Command {
            name: "flush",
            syntax: "[ASYNC | SYNC]",
            summary: "Removes all server-side Lua scripts from the script cache.",
            complexity: "O(N) with N being the number of scripts in cache",
            handler: Handler::Data(flush),
            ..SCRIPT
        },
        Command {
            name: "help",
            summary: "Returns helpful text about the different subcommands.",
            since: "5.0.0",
            flags: Flags::LOADING.union(Flags::STALE),
            handler: Handler::Data(help),
            ..SCRIPT
        },
        Command {
            name: "kill",
            summary: "Terminates a server-side Lua script during execution.",
            flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
            handler: Handler::Data(kill),
            ..SCRIPT
        },
        Command {
            name: "load",
            syntax: "script",
            summary: "Loads a server-side Lua script to the script cache.",
            complexity: "O(N) with N being the length in bytes of the script body.",
            flags: Flags::NOSCRIPT.union(Flags::STALE),
            handler: Handler::Data(load),
            ..SCRIPT
        },
    ],
    ..Command::ROW
}];

fn load(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    running::with_engine(|engine| {
        let compiled = running::add(engine, call, call.arguments.at(2), true)?;
        call.output.bulk(&compiled.script.id);
        Ok(())
    })
}

fn exists(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let ids = call.arguments.from(2);
    call.output.array(ids.len());
    for id in ids.iter() {
        let is_known = id_from(id).is_some_and(|id| call.services.scripts.find(&id).is_some());
        call.output.integer(i64::from(is_known));
    }
    Ok(())
}

fn flush(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mode = call.arguments.from(2);
    let is_known = match mode.len() {
        0 => true,
        1 => [&b"sync"[..], b"async"].iter().any(|known| mode.at(0).eq_ignore_ascii_case(known)),
        _ => false,
    };
    if !is_known {
        return Err(Refusal::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    call.services.scripts.flush();
    call.output.ok();
    Ok(())
}

fn kill(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.services.supervisor.kill(Kind::Script)?;
    call.output.ok();
    Ok(())
}

/// The debugger of Redis stops the whole server for one client, so there is none here.
fn debug(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mode = call.arguments.at(2);
    if mode.eq_ignore_ascii_case(b"no") {
        call.output.ok();
        return Ok(());
    }
    if [&b"yes"[..], b"sync"].iter().any(|known| mode.eq_ignore_ascii_case(known)) {
        return Err(Refusal::new(
            "ERR there is no debugger here: use redis.log or return what you want to see",
        ));
    }
    Err(Refusal::new("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
    ]);
    Ok(())
}
