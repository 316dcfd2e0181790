//! SLOWLOG: the last commands that took long.

use quartet_protocol::resp::number::parse_integer;

use super::{HELP, HELP_SUMMARY, OPERATOR};
use crate::command::{Call, Command, Group, Handler};
use crate::refusal::Refusal;

/// Entries that SLOWLOG GET answers unless it is told a number.
const COUNT_DEFAULT: usize = 10;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "slowlog",
    summary: "A container for slow log commands.",
    complexity: "Depends on subcommand.",
    since: "2.2.12",
    group: Group::Server,
    subcommands: &[
        Command {
            name: "get",
            syntax: "[count]",
            summary: "Returns the slow log's entries.",
            complexity: "O(N) where N is the number of entries returned",
            since: "2.2.12",
            group: Group::Server,
            flags: OPERATOR,
            handler: Handler::Data(get),
            ..Command::ROW
        },
        Command {
            name: "help",
            summary: HELP_SUMMARY,
            since: "6.2.0",
            group: Group::Server,
            flags: HELP,
            handler: Handler::Data(help),
            ..Command::ROW
        },
        Command {
            name: "len",
            summary: "Returns the number of entries in the slow log.",
            since: "2.2.12",
            group: Group::Server,
            flags: OPERATOR,
            handler: Handler::Data(len),
            ..Command::ROW
        },
        Command {
            name: "reset",
            summary: "Clears all entries from the slow log.",
            complexity: "O(N) where N is the number of entries in the slowlog",
            since: "2.2.12",
            group: Group::Server,
            flags: OPERATOR,
            handler: Handler::Data(reset),
            ..Command::ROW
        },
    ],
    ..Command::ROW
}];

fn get(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() > 3 {
        return Err(Refusal::new(
            "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        ));
    }
    let count = match call.arguments.get(2).map(parse_integer) {
        None => COUNT_DEFAULT,
        Some(Some(-1)) => usize::MAX,
        Some(count) => count
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| Refusal::new("ERR count should be greater than or equal to -1"))?,
    };
    let entries = call.services.metrics.slow_log.newest(count);
    call.output.array(entries.len());
    for entry in entries {
        call.output.array(6);
        call.output.integer(entry.id as i64);
        call.output.integer(entry.wall_seconds);
        call.output.integer(entry.micros as i64);
        call.output.array(entry.arguments.len());
        for argument in &entry.arguments {
            call.output.bulk(argument);
        }
        call.output.bulk(entry.address.as_bytes());
        call.output.bulk(entry.client_name.as_bytes());
    }
    Ok(())
}

fn len(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.integer(call.services.metrics.slow_log.len() as i64);
    Ok(())
}

fn reset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.services.metrics.slow_log.clear();
    call.output.ok();
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    ]);
    Ok(())
}
