//! FUNCTION: the libraries of functions.

use quartet_protocol::rdb::write_libraries;
use quartet_protocol::resp::Output;

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::glob::Pattern;
use crate::refusal::Refusal;
use crate::script::libraries::{Change, ENGINE, Joining, Library};
use crate::script::{Kind, loading};
use crate::wait::Barrier;

const FUNCTION: Command =
    Command { group: Group::Scripting, since: "7.0.0", flags: Flags::NOSCRIPT, ..Command::ROW };

/// The flags of those that change libraries.
const CHANGES: Flags = Flags::NOSCRIPT.union(Flags::WRITE);

/// The family's row.
pub const COMMANDS: &[Command] = &[Command {
    name: "function",
    summary: "A container for function commands.",
    complexity: "Depends on subcommand.",
    since: "7.0.0",
    group: Group::Scripting,
    subcommands: &[
        Command {
            name: "delete",
            syntax: "library-name",
            summary: "Deletes a library and its functions.",
            flags: CHANGES,
            handler: Handler::Data(delete),
            ..FUNCTION
        },
        Command {
            name: "dump",
            summary: "Dumps all libraries into a serialized binary payload.",
            complexity: "O(N) where N is the number of functions",
            handler: Handler::Data(dump),
            ..FUNCTION
        },
        Command {
            name: "flush",
            syntax: "[ASYNC | SYNC]",
            summary: "Deletes all libraries and functions.",
            complexity: "O(N) where N is the number of functions deleted",
            flags: CHANGES,
            handler: Handler::Data(flush),
            ..FUNCTION
        },
        Command {
            name: "help",
            summary: "Returns helpful text about the different subcommands.",
            flags: Flags::LOADING.union(Flags::STALE),
            handler: Handler::Data(help),
            ..FUNCTION
        },
        Command {
            name: "kill",
            summary: "Terminates a function during execution.",
            flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
            handler: Handler::Data(kill),
            ..FUNCTION
        },
        Command {
            name: "list",
            syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
            summary: "Returns information about all libraries.",
            complexity: "O(N) where N is the number of functions",
            handler: Handler::Data(list),
            ..FUNCTION
        },
        Command {
            name: "load",
            syntax: "[REPLACE] function-code",
            summary: "Creates a library.",
            complexity: "O(1) (considering compilation time is redundant)",
            flags: CHANGES.union(Flags::DENYOOM),
            handler: Handler::Data(load),
            ..FUNCTION
        },
        Command {
            name: "restore",
            syntax: "serialized-value [FLUSH | APPEND | REPLACE]",
            summary: "Restores all libraries from a payload.",
            complexity: "O(N) where N is the number of functions on the payload",
            flags: CHANGES.union(Flags::DENYOOM),
            handler: Handler::Data(restore),
            ..FUNCTION
        },
        Command {
            name: "stats",
            summary: "Returns information about a function during execution.",
            flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
            handler: Handler::Data(stats),
            ..FUNCTION
        },
    ],
    ..Command::ROW
}];

fn load(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let words = call.arguments.from(2);
    let (options, code) = (words.up_to(words.len() - 1), words.at(words.len() - 1));
    if let Some(option) = options.iter().find(|option| !option.eq_ignore_ascii_case(b"replace")) {
        return Err(Refusal::new([b"ERR Unknown option given: ", option].concat()));
    }
    let (library, barrier) = loading::load(call, code, !options.is_empty())?;
    delay(call, barrier);
    call.output.bulk(&library.name);
    Ok(())
}

/// Has the reply, which must not be written yet, wait until the disk has what it tells of.
fn delay(call: &mut Call<'_, '_>, barrier: Option<Barrier>) {
    if let Some(barrier) = barrier {
        call.delay_reply(barrier);
    }
}

fn delete(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    change(call, &Change::Delete(call.arguments.at(2)))
}

fn flush(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mode = call.arguments.from(2);
    if mode.len() > 1 {
        return Err(wrong_subcommand(call));
    }
    let is_known = |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    if !mode.iter().all(is_known) {
        return Err(Refusal::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    change(call, &Change::Flush)
}

fn change(call: &mut Call<'_, '_>, change: &Change<'_>) -> Result<(), Refusal> {
    let barrier = call.services.scripts.libraries.change(change)?;
    loading::forget_deleted()?;
    delay(call, barrier);
    call.output.ok();
    Ok(())
}

fn restore(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let policy = call.arguments.from(3);
    if policy.len() > 1 {
        return Err(wrong_subcommand(call));
    }
    let joining = match policy.get(0).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"append") => Joining::Append,
        Some(b"replace") => Joining::Replace,
        Some(b"flush") => Joining::Flush,
        Some(_) => {
            return Err(Refusal::new(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let barrier = loading::restore(call, call.arguments.at(2), joining)?;
    delay(call, barrier);
    call.output.ok();
    Ok(())
}

/// Redis' refusal of too many words.
fn wrong_subcommand(call: &Call<'_, '_>) -> Refusal {
    let name = String::from_utf8_lossy(call.arguments.at(1));
    let text =
        format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try FUNCTION HELP.");
    Refusal::new(text)
}

fn dump(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let libraries = &call.services.scripts.libraries;
    let table = libraries.load();
    delay(call, libraries.barrier());
    call.output.bulk(&write_libraries(table.libraries().map(|library| &*library.code)));
    Ok(())
}

fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (mut pattern, mut with_code) = (None, false);
    let words = call.arguments.from(2);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            let given =
                words.next().ok_or_else(|| Refusal::new("ERR library name argument was not given"))?;
            pattern = Some(Pattern::ignoring_case(given)?);
        } else {
            return Err(Refusal::new([b"ERR Unknown argument ", word].concat()));
        }
    }
    let libraries = &call.services.scripts.libraries;
    let table = libraries.load();
    delay(call, libraries.barrier());
    let is_wanted = |library: &Library| pattern.as_ref().is_none_or(|pattern| pattern.matches(&library.name));
    let wanted: Vec<_> = table.libraries().filter(|library| is_wanted(library)).collect();
    call.output.array(wanted.len());
    wanted.iter().for_each(|library| describe(library, with_code, call.output));
    Ok(())
}

fn describe(library: &Library, with_code: bool, output: &mut Output) {
    output.map(3 + usize::from(with_code));
    output.bulk(b"library_name");
    output.bulk(&library.name);
    output.bulk(b"engine");
    output.bulk(ENGINE.as_bytes());
    output.bulk(b"functions");
    output.array(library.functions.len());
    for function in &library.functions {
        output.map(3);
        output.bulk(b"name");
        output.bulk(&function.name);
        output.bulk(b"description");
        match &function.description {
            Some(description) => output.bulk(description),
            None => output.null(),
        }
        output.bulk(b"flags");
        output.set(function.flags.names().count());
        function.flags.names().for_each(|name| output.simple(name));
    }
    if with_code {
        output.bulk(b"library_code");
        output.bulk(&library.code);
    }
}

fn kill(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.services.supervisor.kill(Kind::Function)?;
    call.output.ok();
    Ok(())
}

fn stats(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = call.services.scripts.libraries.load();
    let output = &mut *call.output;
    call.services.supervisor.show_function(|running| {
        output.map(2);
        output.bulk(b"running_script");
        let Some((shown, milliseconds)) = running else { return output.null() };
        let mut texts = shown.texts();
        output.map(3);
        output.bulk(b"name");
        output.bulk(texts.next().unwrap_or_default());
        output.bulk(b"command");
        output.array(texts.len());
        texts.for_each(|word| output.bulk(word));
        output.bulk(b"duration_ms");
        output.integer(milliseconds as i64);
    })?;
    output.bulk(b"engines");
    output.map(1);
    output.bulk(ENGINE.as_bytes());
    output.map(2);
    output.bulk(b"libraries_count");
    output.integer(table.libraries().len() as i64);
    output.bulk(b"functions_count");
    output.integer(table.function_count() as i64);
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Library description",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
        "      in case of functions name collision with another library).",
    ]);
    Ok(())
}
