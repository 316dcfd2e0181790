//! LATENCY: the events that held threads up, and the distribution of the durations of commands.

use super::latency_report::{doctor_text, graph_text};
use super::{HELP, HELP_SUMMARY, OPERATOR_NO_SCRIPT};
use crate::command::{Call, Command, Group, Handler, Row};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "latency",
    summary: "A container for latency diagnostics commands.",
    complexity: "Depends on subcommand.",
    since: "2.8.13",
    group: Group::Server,
    subcommands: &[
        Command {
            name: "doctor",
            summary: "Returns a human-readable latency analysis report.",
            handler: Handler::Data(doctor),
            ..ROW
        },
        Command {
            name: "graph",
            syntax: "event",
            summary: "Returns a latency graph for an event.",
            handler: Handler::Data(graph),
            ..ROW
        },
        Command { name: "help", summary: HELP_SUMMARY, flags: HELP, handler: Handler::Data(help), ..ROW },
        Command {
            name: "histogram",
            syntax: "[command [command ...]]",
            summary: "Returns the cumulative distribution of latencies of a subset or all commands.",
            complexity: "O(N) where N is the number of commands with latency information being retrieved.",
            since: "7.0.0",
            handler: Handler::Data(histogram),
            ..ROW
        },
        Command {
            name: "history",
            syntax: "event",
            summary: "Returns timestamp-latency samples for an event.",
            handler: Handler::Data(history),
            ..ROW
        },
        Command {
            name: "latest",
            summary: "Returns the latest latency samples for all events.",
            handler: Handler::Data(latest),
            ..ROW
        },
        Command {
            name: "reset",
            syntax: "[event [event ...]]",
            summary: "Resets the latency data for one or more events.",
            handler: Handler::Data(reset),
            ..ROW
        },
    ],
    ..Command::ROW
}];

/// The start of the subcommands' rows.
const ROW: Command =
    Command { since: "2.8.13", group: Group::Server, flags: OPERATOR_NO_SCRIPT, ..Command::ROW };

fn latest(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let histories = call.services.metrics.latency.histories();
    call.output.array(histories.len());
    for (event, history) in histories {
        let last = history.samples.back().expect("a history begins with a sample");
        call.output.array(4);
        call.output.bulk(event.name().as_bytes());
        call.output.integer(last.wall_seconds);
        call.output.integer(last.millis as i64);
        call.output.integer(history.longest_millis as i64);
    }
    Ok(())
}

fn history(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let history = call.services.metrics.latency.history(call.arguments.at(2)).unwrap_or_default();
    call.output.array(history.samples.len());
    for sample in history.samples {
        call.output.array(2);
        call.output.integer(sample.wall_seconds);
        call.output.integer(sample.millis as i64);
    }
    Ok(())
}

fn reset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let names: Vec<&[u8]> = call.arguments.from(2).iter().collect();
    call.output.integer(call.services.metrics.latency.reset(&names) as i64);
    Ok(())
}

/// The histograms count all calls: those of quick commands are scaled up from the calls that were timed.
fn histogram(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let services = call.services;
    let table = &services.commands;
    let names = call.arguments.from(2);
    let mut rows: Vec<&Row> = Vec::new();
    if names.is_empty() {
        rows.extend(table.rows());
    }
    for row in names.iter().filter_map(|name| table.find(name)) {
        rows.push(row);
        rows.extend(table.subcommands(row));
    }
    let timed = rows.into_iter().map(|row| (row, services.metrics.durations(row.id)));
    let timed: Vec<_> = timed.filter(|(_, durations)| !durations.is_empty()).collect();
    call.output.map(timed.len());
    for (row, durations) in timed {
        let calls = services.metrics.command_totals(row.id).calls;
        let scale = calls as f64 / durations.len() as f64;
        let steps = durations.cumulative(limits());
        call.output.bulk(row.name.as_bytes());
        call.output.map(2);
        call.output.bulk(b"calls");
        call.output.integer(calls as i64);
        call.output.bulk(b"histogram_usec");
        call.output.map(steps.len());
        for (limit, count) in steps {
            call.output.integer(limit as i64);
            call.output.integer((count as f64 * scale).round() as i64);
        }
    }
    Ok(())
}

/// The limits that Redis' histograms have: 1024 nanoseconds, doubled each time, with the width of Redis' buckets.
fn limits() -> impl Iterator<Item = u64> {
    (0..u64::BITS - 11).map(|doubling| {
        let nanos = 1024_u64 << doubling;
        (nanos + nanos / 128 - 1) / 1000
    })
}

fn doctor(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let threshold = call.settings.latency_monitor_threshold;
    let text = doctor_text(threshold, &call.services.metrics.latency.histories());
    call.output.verbatim("txt", &text);
    Ok(())
}

fn graph(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let name = String::from_utf8_lossy(call.arguments.at(2)).replace(['\r', '\n'], " ");
    let history = call
        .services
        .metrics
        .latency
        .history(call.arguments.at(2))
        .ok_or_else(|| Refusal::new(format!("ERR No samples available for event '{name}'")))?;
    call.output.verbatim("txt", &graph_text(&name, &history, call.now().wall_millis() / 1000));
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn limits_are_those_of_redis() {
        let limits: Vec<u64> = super::limits().take(16).collect();
        assert_eq!(limits[..9], [1, 2, 4, 8, 16, 33, 66, 132, 264]);
        assert_eq!((limits[13], limits[15]), (8454, 33_816));
    }
}
