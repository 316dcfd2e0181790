//! The table of the commands as a page of documentation.

use std::fmt::Write;

use crate::command::{CommandTable, GROUPS, GroupFacts, Row};

const HEAD: &str = "# Commands

<!-- Generated from the tables of commands; `QUARTET_UPDATE_GOLDEN=1 cargo test commands_page` writes it anew. -->

The commands of the Redis protocol, by group.  `[…]` is optional, `<A | B>` a required choice, and `key [key ...]` says
that what precedes may be repeated.  *Since* names the version of Redis that brought a command, or of Quartet where
Redis does not have it.  `COMMAND DOCS` tells clients the same;
what each version has changed (`history`) is not in it.
";

/// The page `docs/commands.md`.
pub fn markdown(table: &CommandTable) -> String {
    let mut page = HEAD.to_owned();
    for GroupFacts { group, name, heading, .. } in GROUPS {
        let rows = table.rows().iter().filter(|row| row.command.group == *group);
        // The name of a family says nothing by itself, except that COMMAND does.
        let mut rows: Vec<&Row> =
            rows.filter(|row| row.command.subcommands.is_empty() || row.arity == -1).collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|row| &row.name);
        writeln!(
            page,
            "\n## {heading} (`{name}`)\n\n| command | what it does | complexity | since |\n|---|---|---|---|"
        )
        .expect("a string takes everything");
        for row in rows {
            let command = row.command;
            let name = row.name.replace('|', " ").to_uppercase();
            let syntax = if command.subcommands.is_empty() { command.syntax } else { "" };
            let usage = format!("{name} {syntax}");
            let (usage, summary) = (cell(usage.trim_end()), cell(command.summary));
            writeln!(page, "| `{usage}` | {summary} | {} | {} |", cell(command.complexity), command.since)
                .expect("a string takes everything");
        }
    }
    page
}

/// Text as it may stand in a cell, which bars would end.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
