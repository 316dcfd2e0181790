//! The command line: a parser and help that are made from the table.
//!
//! `--help` shows every setting below its subject, and `-h` only those that most people look for.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

use super::kind::SettingKind;
use super::source::{Given, Source, Stop, invalid, text};
use super::suggest::nearest;
use super::table::{SETTINGS, Setting};
use crate::version;

/// How a setting can be given, behind the list of them.
const SOURCES: &str = "Each setting can also be an environment variable (QUARTET_MAXMEMORY for --maxmemory) \
    or a key in the TOML file that --config names; flags take precedence over the environment, and the environment over the file.";

/// The settings that `-h` shows.
const COMMON: &[&str] = &[
    "config",
    "bind",
    "port",
    "broker-port",
    "http-port",
    "requirepass",
    "threads",
    "maxmemory",
    "maxmemory-policy",
    "log-level",
    "dir",
];

/// The settings in the arguments, which do not include the program's name.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<Given>, Stop> {
    let arguments = std::iter::once(OsString::from("quartet")).chain(arguments);
    let mut matches = command().try_get_matches_from(arguments).map_err(stop)?;
    let mut given = Vec::new();
    for row in SETTINGS {
        let Some(words) = matches.remove_many::<OsString>(row.name) else { continue };
        let source = Source::Flag(row.name);
        let words: Vec<String> = words.map(|word| text(&source, word)).collect::<Result<_, _>>()?;
        given.push(Given { source, row, value: words.join(" ") });
    }
    Ok(given)
}

fn command() -> Command {
    Command::new("quartet")
        .version(version::TEXT)
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .after_help(format!("--help shows all {} settings, by subject.\n\n{SOURCES}", SETTINGS.len()))
        .after_long_help(SOURCES)
        .args(SETTINGS.iter().map(flag))
}

fn flag(row: &'static Setting) -> Arg {
    let mut help = row.description.to_owned();
    if let SettingKind::Words(_) | SettingKind::Only { .. } = row.kind {
        help += &format!(" ({})", row.kind.allowed());
    }
    if !row.default.is_empty() {
        help += &format!(" [default: {}]", row.default);
    }
    let flag = Arg::new(row.name)
        .long(row.name)
        .value_name(row.kind.value_name())
        .value_parser(OsStringValueParser::new())
        .allow_negative_numbers(true)
        .action(ArgAction::Set)
        .help_heading(row.group)
        .hide_short_help(!COMMON.contains(&row.name))
        .help(help);
    if row.kind.is_list() { flag.num_args(1..) } else { flag.num_args(1) }
}

/// Why the start stops if the arguments are no list of flags.
fn stop(error: clap::Error) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp => return Stop::Help(error.to_string()),
        ErrorKind::DisplayVersion => return Stop::Version(error.to_string()),
        ErrorKind::UnknownArgument => {
            let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
            return unknown(&argument);
        }
        _ => {}
    }
    let message = error.to_string();
    let line = message.lines().next().unwrap_or_default();
    invalid(&Source::Arguments, line.trim_start_matches("error: "))
}

/// Why the start stops if an argument is no flag of ours.
fn unknown(argument: &str) -> Stop {
    let Some(name) = argument.strip_prefix("--") else {
        return invalid(
            &Source::Arguments,
            &format!(
                "'{}' is no flag; a setting is --name value, a file of settings --config FILE",
                argument.escape_debug()
            ),
        );
    };
    let name = name.split('=').next().unwrap_or(name);
    let suggestion = nearest(name, SETTINGS.iter().map(|row| row.name))
        .map_or_else(String::new, |nearest| format!("; did you mean --{nearest}?"));
    invalid(
        &Source::Arguments,
        &format!("--{} is no setting{suggestion}; --help lists them all", name.escape_debug()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_a_valid_command() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_setting() {
        let Err(Stop::Help(help)) = read(["--help".into()]) else { panic!("--help is help") };
        for row in SETTINGS {
            assert!(help.contains(&format!("--{} <", row.name)), "{}", row.name);
            assert!(help.contains(&format!("\n{}:\n", row.group)), "{}", row.group);
        }
    }

    #[test]
    fn short_help_names_the_common_settings_only() {
        let Err(Stop::Help(help)) = read(["-h".into()]) else { panic!("-h is help") };
        for row in SETTINGS {
            let is_shown = help.contains(&format!("--{} <", row.name));
            assert_eq!(is_shown, COMMON.contains(&row.name), "{}", row.name);
        }
        assert!(COMMON.iter().all(|name| SETTINGS.iter().any(|row| row.name == *name)));
    }

    #[test]
    fn the_settings_of_a_subject_stand_together() {
        let mut groups: Vec<&str> = SETTINGS.iter().map(|row| row.group).collect();
        groups.dedup();
        let count = groups.len();
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(groups.len(), count, "a subject begins twice");
    }
}
