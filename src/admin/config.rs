//! CONFIG: settings read and changed while the server runs.

use super::{HELP, HELP_SUMMARY, OPERATOR_NO_SCRIPT};
use crate::command::{Call, Command, Flags, Group, Handler, ShownArguments};
use crate::refusal::Refusal;
use crate::settings;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "config",
    summary: "A container for server configuration commands.",
    complexity: "Depends on subcommand.",
    since: "2.0.0",
    group: Group::Server,
    subcommands: &[
        Command {
            name: "get",
            syntax: "parameter [parameter ...]",
            summary: "Returns the effective values of configuration parameters.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            since: "2.0.0",
            group: Group::Server,
            flags: OPERATOR_NO_SCRIPT,
            handler: Handler::Data(get),
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
            name: "resetstat",
            summary: "Resets the server's statistics.",
            since: "2.0.0",
            group: Group::Server,
            // Alone, because each thread's counters are written by that thread without asking anybody.
            flags: OPERATOR_NO_SCRIPT.union(Flags::EXCLUSIVE),
            handler: Handler::Data(resetstat),
            ..Command::ROW
        },
        Command {
            name: "rewrite",
            summary: "Persists the effective configuration to file.",
            since: "2.8.0",
            group: Group::Server,
            flags: OPERATOR_NO_SCRIPT,
            handler: Handler::Data(rewrite),
            ..Command::ROW
        },
        Command {
            name: "set",
            syntax: "parameter value [parameter value ...]",
            summary: "Sets configuration parameters in-flight.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            since: "2.0.0",
            group: Group::Server,
            flags: OPERATOR_NO_SCRIPT,
            hide_secrets,
            handler: Handler::Data(set),
            ..Command::ROW
        },
    ],
    ..Command::ROW
}];

/// Hides the values of settings that are secrets.
fn hide_secrets(arguments: &mut ShownArguments<'_>) {
    let mut position = 2;
    while let Some(name) = arguments.get(position) {
        if settings::is_secret(name) {
            arguments.hide(position + 1);
        }
        position += 2;
    }
}

fn get(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let patterns: Vec<&[u8]> = call.arguments.from(2).iter().collect();
    let settings = call.services.settings.get(&patterns);
    call.output.map(settings.len());
    for (name, value) in settings {
        // A name that is spelled out is answered as it was spelled.
        let spelled = patterns.iter().find(|pattern| pattern.eq_ignore_ascii_case(name.as_bytes()));
        call.output.bulk(spelled.copied().unwrap_or(name.as_bytes()));
        call.output.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let words: Vec<&[u8]> = call.arguments.from(2).iter().collect();
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Refusal::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|[name, value]| (*name, *value)).collect();
    call.services.settings.set(&pairs).map_err(|reason| Refusal::new(format!("ERR {reason}")))?;
    call.services.follow_settings();
    call.output.ok();
    Ok(())
}

fn resetstat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.services.metrics.reset();
    call.services.store.reset_counts();
    call.output.ok();
    Ok(())
}

/// The file belongs to its author.
fn rewrite(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    Err(match &call.settings.config {
        None => Refusal::new("ERR The server is running without a config file"),
        Some(path) => Refusal::new(format!(
            "ERR Rewriting config file: this server never writes to {}, so change it there by hand; SIGHUP has the \
             server read it again",
            path.display().to_string().escape_debug()
        )),
    })
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    ]);
    Ok(())
}
