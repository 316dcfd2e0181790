//! Every command has a transcript.

use std::collections::BTreeSet;

use quartet::catalog::command_table;

use super::load_all;

#[test]
fn every_command_has_a_transcript() {
    let table = command_table();
    let mut mentioned = BTreeSet::new();
    for transcript in load_all() {
        for step in transcript.steps.iter().filter(|step| step.is_command && !step.arguments.is_empty()) {
            let subcommand = step.arguments.get(1).map(Vec::as_slice);
            mentioned.extend(table.resolve(&step.arguments[0], subcommand).map(|row| row.id));
        }
    }
    // The name of a family is not a command by itself.
    let rows = table.rows().iter().filter(|row| row.subcommands.is_empty());
    let silent: Vec<&str> =
        rows.filter(|row| !mentioned.contains(&row.id)).map(|row| row.name.as_str()).collect();
    assert!(silent.is_empty(), "no transcript below tests/transcripts has a word of {silent:?}");
}
