//! COMMAND: facts about commands, from the rows of the table.

use std::borrow::Cow;

use quartet_protocol::resp::Arguments;

use super::command_docs::write_docs;
use super::command_info::{access_words, write_info};
use super::{HELP, HELP_SUMMARY, categories};
use crate::command::{Call, Command, CommandTable, Flags, Group, Handler, KeyAccess, Row};
use crate::glob::Pattern;
use crate::refusal::Refusal;

const COMMAND: Flags = Flags::LOADING.union(Flags::STALE);

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "command",
    syntax: "[subcommand [subcommand ...]]",
    summary: "Returns detailed information about all commands.",
    complexity: "O(N) where N is the total number of Redis commands",
    since: "2.8.13",
    group: Group::Server,
    flags: COMMAND,
    handler: Handler::Data(all),
    subcommands: &[
        Command {
            name: "count",
            summary: "Returns a count of commands.",
            since: "2.8.13",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(count),
            ..Command::ROW
        },
        Command {
            name: "docs",
            syntax: "[command-name [command-name ...]]",
            summary: "Returns documentary information about one, multiple or all commands.",
            complexity: "O(N) where N is the number of commands to look up",
            since: "7.0.0",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(docs),
            ..Command::ROW
        },
        Command {
            name: "getkeys",
            syntax: "command [arg [arg ...]]",
            summary: "Extracts the key names from an arbitrary command.",
            complexity: "O(N) where N is the number of arguments to the command",
            since: "2.8.13",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(getkeys),
            ..Command::ROW
        },
        Command {
            name: "getkeysandflags",
            syntax: "command [arg [arg ...]]",
            summary: "Extracts the key names and access flags for an arbitrary command.",
            complexity: "O(N) where N is the number of arguments to the command",
            since: "7.0.0",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(getkeysandflags),
            ..Command::ROW
        },
        Command {
            name: "help",
            summary: HELP_SUMMARY,
            since: "5.0.0",
            group: Group::Server,
            flags: HELP,
            handler: Handler::Data(help),
            ..Command::ROW
        },
        Command {
            name: "info",
            syntax: "[command-name [command-name ...]]",
            summary: "Returns information about one, multiple or all commands.",
            complexity: "O(N) where N is the number of commands to look up",
            since: "2.8.13",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(info),
            ..Command::ROW
        },
        Command {
            name: "list",
            syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
            summary: "Returns a list of command names.",
            complexity: "O(N) where N is the total number of Redis commands",
            since: "7.0.0",
            group: Group::Server,
            flags: COMMAND,
            handler: Handler::Data(list),
            ..Command::ROW
        },
    ],
    ..Command::ROW
}];

fn all(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = &call.services.commands;
    call.output.array(table.commands().count());
    for row in table.commands() {
        write_info(call.output, table, row);
    }
    Ok(())
}

fn count(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.integer(call.services.commands.commands().count() as i64);
    Ok(())
}

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let names = call.arguments.from(2);
    if names.is_empty() {
        return all(call);
    }
    let table = &call.services.commands;
    call.output.array(names.len());
    for name in names.iter() {
        match find(table, name) {
            Some(row) => write_info(call.output, table, row),
            None => call.output.null(),
        }
    }
    Ok(())
}

fn docs(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let names = call.arguments.from(2);
    let table = &call.services.commands;
    let rows: Vec<&Row> = if names.is_empty() {
        table.commands().collect()
    } else {
        names.iter().filter_map(|name| find(table, name)).collect()
    };
    call.output.map(rows.len());
    for row in rows {
        call.output.bulk(row.name.as_bytes());
        write_docs(call.output, table, row);
    }
    Ok(())
}

fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let rows = call.services.commands.rows().iter();
    let names: Vec<&str> = match call.arguments.len() {
        2 => rows.map(|row| row.name.as_str()).collect(),
        5 if call.arguments.at(2).eq_ignore_ascii_case(b"filterby") => {
            let filter = Filter::parse(call.arguments.at(3), call.arguments.at(4))?;
            rows.filter(|row| filter.lets_through(row)).map(|row| row.name.as_str()).collect()
        }
        _ => return Err(Refusal::SYNTAX),
    };
    call.output.array(names.len());
    for name in names {
        call.output.bulk(name.as_bytes());
    }
    Ok(())
}

/// Which rows COMMAND LIST FILTERBY lets through.
enum Filter {
    /// Commands of a module: none.
    Module,
    /// Commands in a category, if there is such a category.
    Category(Option<categories::Rule>),
    /// Commands whose name matches.
    Pattern(Pattern),
}

impl Filter {
    fn parse(kind: &[u8], operand: &[u8]) -> Result<Filter, Refusal> {
        match kind.to_ascii_lowercase().as_slice() {
            b"module" => Ok(Filter::Module),
            b"aclcat" => Ok(Filter::Category(categories::find(operand))),
            b"pattern" => Ok(Filter::Pattern(Pattern::ignoring_case(operand)?)),
            _ => Err(Refusal::SYNTAX),
        }
    }

    fn lets_through(&self, row: &Row) -> bool {
        match self {
            Filter::Module => false,
            Filter::Category(rule) => rule.is_some_and(|holds| holds(row)),
            Filter::Pattern(pattern) => pattern.matches(row.name.as_bytes()),
        }
    }
}

fn getkeys(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let request = call.arguments.from(2);
    let keys = keys_of(call, request)?;
    call.output.array(keys.len());
    for (key, _) in keys {
        call.output.bulk(&key);
    }
    Ok(())
}

fn getkeysandflags(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let request = call.arguments.from(2);
    let keys = keys_of(call, request)?;
    call.output.array(keys.len());
    for (key, access) in keys {
        let words = access_words(access);
        call.output.array(2);
        call.output.bulk(&key);
        call.output.set(words.len());
        for word in words {
            call.output.simple(word);
        }
    }
    Ok(())
}

/// A key of a request, and how the command uses it.
type FoundKey<'r> = (Cow<'r, [u8]>, KeyAccess);

/// The keys of a whole request.
fn keys_of<'r>(call: &Call<'_, '_>, request: Arguments<'r>) -> Result<Vec<FoundKey<'r>>, Refusal> {
    let command = keyed_command(&call.services.commands, request)?.command;
    if let Some(find_keys) = command.find_keys {
        let found = find_keys(request, call.services)?;
        let access = |index| match command.access_in {
            Some(access_in) => access_in(request, index),
            None => KeyAccess::ReadWriteAccessUpdate,
        };
        return Ok(found.into_iter().enumerate().map(|(index, key)| (key.into(), access(index))).collect());
    }
    let key = |(index, position)| {
        let access = match command.access_in {
            Some(access_in) => access_in(request, index),
            None => command.keys.access_at(position),
        };
        (request.at(position).into(), access)
    };
    let positions = command.keys.positions(request).filter(|_| command.keys.are_counted_well(request));
    let keys: Vec<FoundKey<'_>> = positions.enumerate().map(key).collect();
    if keys.is_empty() && !command.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(Refusal::new("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

/// The command of a whole request, if the request could be run and names keys.
fn keyed_command<'t>(table: &'t CommandTable, request: Arguments<'_>) -> Result<&'t Row, Refusal> {
    let row = table
        .resolve(request.at(0), request.get(1))
        .ok_or_else(|| Refusal::new("ERR Invalid command specified"))?;
    if row.command.keys.are_none() && row.command.find_keys.is_none() {
        return Err(Refusal::new("ERR The command has no key arguments"));
    }
    if !row.accepts(request.len()) {
        return Err(Refusal::new("ERR Invalid number of arguments specified for command"));
    }
    Ok(row)
}

/// The row of a name as COMMAND INFO takes it: `get`, `config|get`.
fn find<'t>(table: &'t CommandTable, name: &[u8]) -> Option<&'t Row> {
    let mut words = name.splitn(2, |&byte| byte == b'|');
    let row = table.find(words.next()?)?;
    match words.next() {
        Some(subcommand) => table.find_subcommand(row, subcommand),
        None => Some(row),
    }
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
    ]);
    Ok(())
}
