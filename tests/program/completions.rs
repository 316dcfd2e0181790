//! The completions as shells run them; those of bash have their test beside their code.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::peers;

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).to_str().expect("the path is text").to_owned()
}

fn printed(command: &mut Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().expect("the shell was found");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// What is typed, and what it becomes.
const COMPLETED: &[(&str, &str)] = &[
    ("quartet --broker-sl", "quartet --broker-slow-consumer"),
    ("quartet --log-level w", "quartet --log-level warn"),
    ("quartet comp", "quartet completions"),
    ("quartet completions z", "quartet completions zsh"),
    ("quartet stream ver", "quartet stream verify"),
];

#[test]
fn zsh_completes_flags_values_and_subcommands() {
    let Some(zsh) = peers::peer("zsh") else { return };
    let typed: Vec<&str> = COMPLETED.iter().map(|(typed, _)| *typed).collect();
    let expected: Vec<&str> = COMPLETED.iter().map(|(_, expected)| *expected).collect();
    let mut shell = Command::new(zsh);
    shell.arg("-f").arg(path("tests/program/complete.zsh")).arg(path("deploy/completions")).args(typed);
    assert_eq!(printed(&mut shell), expected);
}

#[test]
fn fish_completes_flags_values_and_subcommands() {
    let Some(fish) = peers::peer("fish") else { return };
    let file = path("deploy/completions/quartet.fish");
    for (typed, expected) in COMPLETED {
        let script = format!("source '{file}'; complete -C '{typed}'");
        let lines = printed(Command::new(&fish).args(["--no-config", "-c", &script]));
        // A line is a word and what it is for.
        let words: Vec<&str> = lines.iter().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, [expected.rsplit(' ').next().expect("a line has words")], "{typed}");
    }
}
