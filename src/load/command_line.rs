//! The command line of `quartet bench`: a parser and a help page that are made from the tables.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::clock::Clock;
use crate::settings::did_you_mean;

use super::options::{
    COUNT_MAX, OPTIONS, OptionRow, Options, RATE_MAX, ROUNDS_MAX, SECONDS_MAX, THREADS_MAX,
};
use super::pacing::Bound;
use super::run::Terms;
use super::target::{Access, Target};
use super::workload::{self, WORKLOADS, Workload};

/// How the program is called.
const PROGRAM: &str = "quartet bench";

/// The variable in which redis-cli looks for the password too.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";

/// Seconds of a run, and of each turn in a comparison.
const SECONDS: f64 = 10.0;
const SECONDS_OF_TURN: f64 = 2.0;

/// The most servers in a comparison.
const SERVERS_MAX: usize = 16;

/// What the command line asks for.
pub(super) enum Asked {
    /// The help page.
    Help(String),
    /// A run, or several.
    Load(Box<Order>),
}

/// A load with all that was chosen.
pub(super) struct Order {
    pub(super) workload: &'static Workload,
    pub(super) options: Options,
    pub(super) targets: Vec<Target>,
    /// The turns of each server in a comparison.
    pub(super) rounds: Option<usize>,
    pub(super) terms: Terms,
    pub(super) is_json: bool,
    /// Whether progress is told even if standard error is no terminal.
    pub(super) tells_progress: bool,
}

/// Reads the arguments behind `quartet bench`.
///
/// # Errors
/// If an argument is wrong: the error names it, and a similar one that exists.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let arguments = std::iter::once(OsString::from(PROGRAM)).chain(arguments);
    let mut matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(Asked::Help(error.to_string())),
        Err(error) => return Err(reason(&error)),
    };
    let Some(name) = matches.remove_one::<String>("workload") else {
        return Err(format!("name a workload: {}; --help says what they do", names()));
    };
    let workload = workload::find(&name).ok_or_else(|| {
        let suggestion = did_you_mean(&name, WORKLOADS.iter().map(|workload| workload.name));
        format!("{name} is no workload{suggestion}; there are {}", names())
    })?;
    let words: Vec<String> = matches.remove_many::<String>("words").into_iter().flatten().collect();
    let options = Options::new(given(&mut matches), workload.defaults, words);
    order(workload, options).map(|order| Asked::Load(Box::new(order)))
}

fn names() -> String {
    WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ")
}

fn given(matches: &mut ArgMatches) -> HashMap<&'static str, String> {
    let mut given = HashMap::new();
    for row in OPTIONS {
        if row.value.is_empty() {
            if matches.get_flag(row.name) {
                given.insert(row.name, String::new());
            }
        } else if let Some(value) = matches.remove_one::<String>(row.name) {
            given.insert(row.name, value);
        }
    }
    given
}

fn order(workload: &'static Workload, options: Options) -> Result<Order, String> {
    if let Some(row) = OPTIONS.iter().find(|row| options.has(row.name) && !belongs(row, workload)) {
        return Err(format!("{} has no --{}; --help says what it has", workload.name, row.name));
    }
    match (workload.words.is_empty(), options.words.first()) {
        // The parser takes what it does not know for the first word.
        (_, Some(word)) if word.starts_with("--") => return Err(unknown(word)),
        (true, Some(word)) => return Err(format!("{} takes no further words: '{word}'", workload.name)),
        (false, None) => return Err(format!("{} needs {} behind it", workload.name, workload.words)),
        _ => {}
    }
    let patience = options.fraction("timeout", SECONDS_MAX)?;
    let access = Access {
        user: options.text("user").to_owned(),
        password: password(&options),
        patience: Duration::from_secs_f64(patience),
        clock: Arc::new(Clock::machine()),
    };
    let servers = servers(&options, workload)?;
    let targets: Vec<Target> = servers
        .iter()
        .map(|text| Target::parse(text, workload.protocol, &access))
        .collect::<Result<_, _>>()?;
    let rounds = if options.has("compare") { Some(options.count("rounds", 1..=ROUNDS_MAX)?) } else { None };
    let rate = if options.has("rate") { Some(options.fraction("rate", RATE_MAX)?) } else { None };
    let terms = Terms {
        bound: bound(&options)?,
        rate,
        threads: options.count("threads", 1..=THREADS_MAX)?,
        seed: options.number("seed", 0..=u64::MAX)?,
    };
    let (is_json, tells_progress) = (options.has("json"), options.has("progress"));
    Ok(Order { workload, options, targets, rounds, terms, is_json, tells_progress })
}

fn belongs(row: &OptionRow, workload: &Workload) -> bool {
    row.is_common || workload.own_options().any(|name| name == row.name)
}

fn password(options: &Options) -> String {
    if options.has("password") {
        return options.text("password").to_owned();
    }
    std::env::var(PASSWORD_VARIABLE).unwrap_or_default()
}

fn servers(options: &Options, workload: &Workload) -> Result<Vec<String>, String> {
    if !options.has("compare") {
        let server = options.text("server");
        let usual = workload.protocol.port().to_string();
        return Ok(vec![if server.is_empty() { usual } else { server.to_owned() }]);
    }
    if options.has("server") {
        return Err("say --server or --compare, not both".to_owned());
    }
    let servers: Vec<String> = options.text("compare").split(',').map(str::to_owned).collect();
    if (2..=SERVERS_MAX).contains(&servers.len()) {
        Ok(servers)
    } else {
        Err(format!("--compare needs 2 to {SERVERS_MAX} servers with commas between them"))
    }
}

fn bound(options: &Options) -> Result<Bound, String> {
    if options.has("count") {
        if options.has("time") {
            return Err("say --count or --time, not both".to_owned());
        }
        return options.number("count", 1..=COUNT_MAX).map(Bound::Count);
    }
    let seconds = if options.has("time") {
        options.fraction("time", SECONDS_MAX)?
    } else if options.has("compare") {
        SECONDS_OF_TURN
    } else {
        SECONDS
    };
    Ok(Bound::Micros((seconds * 1e6) as u64))
}

fn command() -> Command {
    Command::new(PROGRAM)
        .about("Loads a server and reports how quickly it answers: Quartet, or any other that speaks RESP, NATS' protocol or the calls of Quartet's HTTP listener")
        .override_usage("quartet bench <workload> [options] [words]")
        .after_help(workloads())
        .arg(Arg::new("workload").help("What is done; see below").value_name("workload"))
        .arg(
            Arg::new("words")
                .help("What the workload `command` or `http` sends; options stand before it")
                .value_name("words")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
        .args(OPTIONS.iter().map(flag))
}

/// The workloads, for the end of the help page.
fn workloads() -> String {
    let mut page = "Workloads:\n".to_owned();
    for workload in WORKLOADS {
        // A string takes everything.
        let _ = writeln!(page, "  {:<12} {} ({})", workload.name, workload.purpose, workload.protocol.name());
    }
    page + "\ndocs/bench.md shows the options of each, and examples."
}

fn flag(row: &'static OptionRow) -> Arg {
    let mut help = row.purpose.to_owned();
    if !row.default.is_empty() {
        help += &format!(" [default: {}]", row.default);
    }
    let flag = Arg::new(row.name).long(row.name).help(help);
    if row.value.is_empty() {
        return flag.action(ArgAction::SetTrue);
    }
    flag.value_name(row.value).allow_negative_numbers(true).action(ArgAction::Set)
}

/// Why the arguments cannot be read.
fn reason(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::UnknownArgument {
        let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        return unknown(&argument);
    }
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Why an argument is refused that is no option.
fn unknown(argument: &str) -> String {
    let name = argument.trim_start_matches("--").split('=').next().unwrap_or_default();
    let suggestion = did_you_mean(name, OPTIONS.iter().map(|row| row.name));
    format!("{argument} is no option{suggestion}; --help lists them all")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        match read(line.split_whitespace().map(OsString::from)) {
            Err(reason) => reason,
            Ok(_) => panic!("{line} is refused"),
        }
    }

    fn taken(line: &str) -> Order {
        match read(line.split_whitespace().map(OsString::from)) {
            Ok(Asked::Load(order)) => *order,
            Ok(Asked::Help(_)) => panic!("{line} asks for no help"),
            Err(reason) => panic!("{line}: {reason}"),
        }
    }

    #[test]
    fn the_flags_are_a_valid_command() {
        command().debug_assert();
        let Ok(Asked::Help(help)) = read(["--help".into()]) else { panic!("--help is help") };
        for row in OPTIONS {
            assert!(help.contains(&format!("--{}", row.name)), "{}", row.name);
        }
        for workload in WORKLOADS {
            assert!(help.contains(&format!("\n  {} ", workload.name)), "{}", workload.name);
        }
    }

    #[test]
    fn wrong_words_are_refused_with_a_remedy() {
        assert!(refused("").starts_with("name a workload: get, set, "));
        assert!(refused("gett").starts_with("gett is no workload; did you mean get?; there are get, "));
        assert_eq!(
            refused("get --pipelin 3"),
            "--pipelin is no option; did you mean pipeline?; --help lists them all"
        );
        assert_eq!(refused("get --reads 3"), "get has no --reads; --help says what it has");
        assert_eq!(refused("get more"), "get takes no further words: 'more'");
        assert_eq!(refused("command"), "command needs the command behind it");
        assert_eq!(refused("get --time 1 --count 1"), "say --count or --time, not both");
        assert_eq!(refused("get --compare 1"), "--compare needs 2 to 16 servers with commas between them");
        assert_eq!(refused("get --compare 1,2 --server 1"), "say --server or --compare, not both");
        assert_eq!(refused("get --count 0"), "--count must be a whole number from 1 to 10000000000, not '0'");
        assert_eq!(refused("get --threads 65"), "--threads must be a whole number from 1 to 64, not '65'");
    }

    #[test]
    fn bounds_are_given_or_usual() {
        assert_eq!(taken("get").terms.bound, Bound::Micros(10_000_000));
        assert_eq!(taken("get --compare 1,2").terms.bound, Bound::Micros(2_000_000));
        assert_eq!(taken("get --time 0.5").terms.bound, Bound::Micros(500_000));
        assert_eq!(taken("get --count 7").terms.bound, Bound::Count(7));
        assert_eq!(taken("command --count 7 SET --count -x").options.words, ["SET", "--count", "-x"]);
        assert_eq!(taken("get").targets[0].address.port(), 6379);
    }
}
