//! The reply of COMMAND DOCS about one command.

use quartet_protocol::resp::Output;

use crate::command::syntax::{self, Argument, ArgumentKind};
use crate::command::{CommandTable, Deprecated, Row};

/// Writes a command's documentation as one map.
pub(super) fn write_docs(output: &mut Output, table: &CommandTable, row: &Row) {
    let command = row.command;
    let subcommands = table.subcommands(row);
    let arguments = if subcommands.is_empty() { syntax::parse(command.syntax) } else { Vec::new() };
    let facts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.facts().name),
        ("complexity", command.complexity),
    ];
    let facts = facts.iter().filter(|(_, text)| !text.is_empty());
    let deprecated = command.deprecated;
    let parts = usize::from(!arguments.is_empty())
        + usize::from(!subcommands.is_empty())
        + 3 * usize::from(deprecated.is_some());
    output.map(facts.clone().count() + parts);
    for (name, text) in facts {
        output.bulk(name.as_bytes());
        output.bulk(text.as_bytes());
    }
    if let Some(Deprecated { since, replaced_by }) = deprecated {
        output.bulk(b"doc_flags");
        output.set(1);
        output.simple("deprecated");
        write_text(output, "deprecated_since", since);
        write_text(output, "replaced_by", replaced_by);
    }
    if !arguments.is_empty() {
        output.bulk(b"arguments");
        write_arguments(output, &arguments, row);
    }
    if !subcommands.is_empty() {
        output.bulk(b"subcommands");
        output.map(subcommands.len());
        for subcommand in subcommands {
            output.bulk(subcommand.name.as_bytes());
            write_docs(output, table, subcommand);
        }
    }
}

fn write_arguments(output: &mut Output, arguments: &[Argument], row: &Row) {
    output.array(arguments.len());
    for argument in arguments {
        write_argument(output, argument, row);
    }
}

fn write_argument(output: &mut Output, argument: &Argument, row: &Row) {
    let kind = kind(argument, row);
    let flags: Vec<&str> = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ]
    .iter()
    .filter_map(|&(holds, word)| holds.then_some(word))
    .collect();
    let is_key = kind == ArgumentKind::Key;
    let has_parts = kind.has_parts();
    // Name and type; the parts or a text to display; other fields that apply.
    let optional_facts = [is_key, argument.token.is_some(), !flags.is_empty()];
    output.map(3 + optional_facts.iter().filter(|&&holds| holds).count());
    write_text(output, "name", &argument.name);
    write_text(output, "type", kind.word());
    if !has_parts {
        write_text(output, "display_text", &argument.name);
    }
    if is_key {
        output.bulk(b"key_spec_index");
        output.integer(0);
    }
    if let Some(token) = &argument.token {
        write_text(output, "token", token);
    }
    if !flags.is_empty() {
        output.bulk(b"flags");
        output.set(flags.len());
        for flag in flags {
            output.simple(flag);
        }
    }
    if has_parts {
        output.bulk(b"arguments");
        write_arguments(output, &argument.arguments, row);
    }
}

/// The kind of an argument; where its name alone says too little, as Redis has it for the command.
fn kind(argument: &Argument, row: &Row) -> ArgumentKind {
    let is_of_scores = row.name == "zcount" || row.name.ends_with("byscore");
    match (argument.kind, argument.name.as_str()) {
        // A name of a key in a command without keys, like DEBUG OBJECT.
        (ArgumentKind::Key, _) if row.command.keys.are_none() => ArgumentKind::String,
        (ArgumentKind::Integer, "increment") if row.name.ends_with("byfloat") => ArgumentKind::Double,
        // Whoever waits for keys may name parts of a second.
        (ArgumentKind::Integer, "timeout") if !row.command.keys.are_none() => ArgumentKind::Double,
        (ArgumentKind::Integer, "start" | "stop") if row.name == "zrange" => ArgumentKind::String,
        (ArgumentKind::String, "min" | "max") if is_of_scores => ArgumentKind::Double,
        (ArgumentKind::String, "num-matches" | "slot" | "ttl" | "frequency") => ArgumentKind::Integer,
        (ArgumentKind::Double, "weight") => ArgumentKind::Integer,
        (kind, _) => kind,
    }
}

fn write_text(output: &mut Output, name: &str, text: &str) {
    output.bulk(name.as_bytes());
    output.bulk(text.as_bytes());
}
