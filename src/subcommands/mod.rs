//! What the program does besides serving: a row for each subcommand, the first word behind `quartet`.

mod completions;
mod health;
mod manual;

use std::ffi::OsString;
use std::fmt::Write;

use crate::settings::did_you_mean;
use crate::standard_output::print;
use crate::{load, offline};

/// A subcommand.
pub struct Subcommand {
    /// The word that chooses it.
    pub word: &'static str,
    /// What may stand behind it.
    pub arguments: &'static str,
    /// What it is for, in one line.
    pub purpose: &'static str,
    /// Does it, with the arguments behind the word.  False makes the program's exit code 1.
    run: fn(Vec<OsString>) -> Result<bool, String>,
}

/// All of them.
pub static SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        word: health::WORD,
        arguments: "[settings of the server]",
        purpose: "Asks whether the server with these settings is ready; the exit code is 0 if it is, else 1",
        run: health::run,
    },
    Subcommand {
        word: load::WORD,
        arguments: "<workload> ...",
        purpose: "Loads a server and reports how quickly it answers; quartet bench --help says how",
        run: |arguments| load::run(arguments),
    },
    Subcommand {
        word: offline::WORD,
        arguments: "verify|export|import ...",
        purpose: "Works on the durable streams of a directory that no server uses",
        run: |arguments| offline::run(arguments),
    },
    Subcommand {
        word: "man",
        arguments: "",
        purpose: "Prints the manual page: quartet man | man -l -",
        run: |arguments| {
            expect_none(&arguments, "man")?;
            print(&manual::page()).map(|()| true)
        },
    },
    Subcommand {
        word: completions::WORD,
        arguments: "bash|zsh|fish",
        purpose: "Prints what a shell completes: source <(quartet completions bash)",
        run: completions::run,
    },
];

/// Runs the subcommand that the first argument names.  None if there is none or it is a flag, so that the server is meant.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Option<Result<bool, String>> {
    let mut arguments = arguments.into_iter();
    let word = arguments.next()?;
    match SUBCOMMANDS.iter().find(|row| word == row.word) {
        Some(row) => Some((row.run)(arguments.collect())),
        None if word.as_encoded_bytes().starts_with(b"-") => None,
        None => Some(Err(unknown(&word.to_string_lossy()))),
    }
}

/// What is said of a first word that is neither a flag nor a subcommand.
fn unknown(word: &str) -> String {
    let words = || SUBCOMMANDS.iter().map(|row| row.word);
    let suggestion = did_you_mean(word, words());
    let list: Vec<&str> = words().collect();
    format!(
        "'{}' is neither a flag nor a subcommand{suggestion}; without a word the server starts, settings are --name value or a \
         file (--config FILE), and the subcommands are {}; --help has all of them",
        word.escape_debug(),
        list.join(", ")
    )
}

/// The end of the program's help.
pub fn help() -> String {
    let mut text = String::from("\nBesides serving:\n");
    for Subcommand { word, arguments, purpose, .. } in SUBCOMMANDS {
        let usage = format!("{word} {arguments}");
        writeln!(text, "  quartet {}\n          {purpose}", usage.trim_end())
            .expect("a string takes everything");
    }
    text
}

fn expect_none(arguments: &[OsString], word: &str) -> Result<(), String> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => {
            let argument = argument.to_string_lossy();
            Err(format!("quartet {word} takes no argument, and '{}' was given", argument.escape_debug()))
        }
    }
}

/// Looks that the file of the repository holds `text`, or writes it where that is asked for.
#[cfg(test)]
fn check_golden(path: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("QUARTET_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("it lies in a folder"))
            .expect("the repository can be written");
        std::fs::write(&path, text).expect("the repository can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is stale: run with QUARTET_UPDATE_GOLDEN=1", path.display());
}
