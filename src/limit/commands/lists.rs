//! RL.ALLOW, RL.DENY and RL.BLOCK: keys that are never limited, and keys that are always refused.

use super::change;
use super::words::Words;
use crate::command::{Call, Command, Handler};
use crate::limit::algorithm::checked_span;
use crate::limit::lists::ListName;
use crate::limit::operation::Change;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.allow",
        summary: "A container for the commands on the list of keys that no policy limits.",
        complexity: "Depends on subcommand.",
        subcommands: &[
            Command { handler: Handler::Data(|call| add(call, ListName::Allow)), ..ADD },
            Command { handler: Handler::Data(|call| del(call, ListName::Allow)), ..DEL },
            Command { handler: Handler::Data(|call| list(call, ListName::Allow)), ..LIST },
            Command { handler: Handler::Data(help), ..super::HELP },
        ],
        ..super::ROW
    },
    Command {
        name: "rl.deny",
        summary: "A container for the commands on the list of keys that every policy refuses.",
        complexity: "Depends on subcommand.",
        subcommands: &[
            Command { handler: Handler::Data(|call| add(call, ListName::Deny)), ..ADD },
            Command { handler: Handler::Data(|call| del(call, ListName::Deny)), ..DEL },
            Command { handler: Handler::Data(|call| list(call, ListName::Deny)), ..LIST },
            Command { handler: Handler::Data(help), ..super::HELP },
        ],
        ..super::ROW
    },
    Command {
        name: "rl.block",
        syntax: "key milliseconds",
        summary: "Blocks a key under every policy for a time; 0 ends the block. An address stands for its whole host.",
        complexity: "O(N) where N is the number of blocks.",
        handler: Handler::Data(block),
        ..super::ROW
    },
];

const ADD: Command = Command {
    name: "add",
    syntax: "pattern",
    summary: "Puts a pattern on the list and returns 1, or 0 if it was there. An address (10.1.2.3, ::1 or [::1]) or a \
              network (10.0.0.0/8) matches the keys that are its addresses, in any spelling. Anything else is a glob \
              pattern with * (any bytes), ? (one byte), [abc], [a-z], [^a] (one of these, or none of them) and \\ before a \
              byte that stands for itself.",
    complexity: "O(N) where N is the number of patterns.",
    ..super::ROW
};

const DEL: Command = Command {
    name: "del",
    summary: "Takes a pattern off the list and returns 1, or 0 if it was not there.",
    ..ADD
};

const LIST: Command =
    Command { name: "list", syntax: "", summary: "Returns the patterns of the list.", ..ADD };

fn add(call: &mut Call<'_, '_>, list: ListName) -> Result<(), Refusal> {
    let pattern = call.arguments.at(2);
    let added = change(call, Change::AddPattern { list, pattern })?;
    call.output.integer(added as i64);
    Ok(())
}

fn del(call: &mut Call<'_, '_>, list: ListName) -> Result<(), Refusal> {
    let pattern = call.arguments.at(2);
    let removed = change(call, Change::RemovePattern { list, pattern })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn list(call: &mut Call<'_, '_>, list: ListName) -> Result<(), Refusal> {
    let patterns = call.services.limits.lists.patterns(list);
    call.output.array(patterns.len());
    for pattern in patterns {
        call.output.bulk(&pattern);
    }
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "ADD <pattern>",
        "    Put a pattern on the list: an address (`::1`, `[::1]`), a network",
        "    (`10.0.0.0/8`), or else a glob pattern, where `[abc]` is one of a, b and c.",
        "DEL <pattern>",
        "    Take a pattern off the list.",
        "LIST",
        "    Return the patterns of the list.",
    ]);
    Ok(())
}

fn block(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let span = match Words::new(call.arguments.from(2)).integer()? {
        0 => 0,
        millis => checked_span("the time of a block", millis)?,
    };
    change(call, Change::Block { key: call.arguments.at(1), span })?;
    call.output.ok();
    Ok(())
}
