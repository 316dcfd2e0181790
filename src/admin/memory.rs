//! MEMORY: how much memory the data takes.

use quartet_protocol::resp::number::parse_integer;

use super::{HELP, HELP_SUMMARY};
use crate::allocator;
use crate::cache::commands::object::memory_usage;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::metrics::process::Process;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "memory",
    summary: "A container for memory diagnostics commands.",
    complexity: "Depends on subcommand.",
    since: "4.0.0",
    group: Group::Server,
    subcommands: &[
        Command {
            name: "doctor",
            summary: "Outputs a memory problems report.",
            handler: Handler::Data(doctor),
            ..ROW
        },
        Command { name: "help", summary: HELP_SUMMARY, flags: HELP, handler: Handler::Data(help), ..ROW },
        Command {
            name: "malloc-stats",
            summary: "Returns the allocator statistics.",
            complexity: "Depends on how much memory is allocated, could be slow",
            handler: Handler::Data(malloc_stats),
            ..ROW
        },
        Command {
            name: "purge",
            summary: "Asks the allocator to release memory.",
            complexity: "Depends on how much memory is allocated, could be slow",
            handler: Handler::Data(purge),
            ..ROW
        },
        Command {
            name: "stats",
            summary: "Returns details about memory usage.",
            // Each shard counts its own keys.
            flags: Flags::SELF_LOCKING,
            handler: Handler::Data(stats),
            ..ROW
        },
        Command {
            name: "usage",
            syntax: "key [SAMPLES count]",
            summary: "Estimates the memory usage of a key.",
            complexity: "O(N) where N is the number of samples.",
            flags: Flags::READONLY,
            keys: Keys::second(KeyAccess::ReadOnly),
            handler: Handler::Data(usage),
            ..ROW
        },
    ],
    ..Command::ROW
}];

/// The start of the subcommands' rows.
const ROW: Command = Command { since: "4.0.0", group: Group::Server, ..Command::ROW };

/// Strings have no elements to sample, so the samples are only checked.
fn usage(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    match call.arguments.len() {
        3 => {}
        5 if call.arguments.at(3).eq_ignore_ascii_case(b"samples") => {
            let samples = parse_integer(call.arguments.at(4)).ok_or(Refusal::NOT_AN_INTEGER)?;
            if samples < 0 {
                return Err(Refusal::SYNTAX);
            }
        }
        _ => return Err(Refusal::SYNTAX),
    }
    let key = call.key(2);
    match memory_usage(call.keyspace, &key) {
        Some(bytes) => call.output.integer(bytes as i64),
        None => call.output.null(),
    }
    Ok(())
}

enum Fact {
    Count(usize),
    Ratio(f64),
}

fn stats(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    use Fact::{Count, Ratio};
    let services = call.services;
    let used = services.store.memory();
    let peak = services.metrics.rates.note_memory(used);
    let resident = Process::now().resident_bytes as usize;
    let dataset = services.store.memory_parts().entries;
    let keys: usize =
        (0..services.store.database_count()).map(|database| services.store.key_counts(database).0).sum();
    let scripts = services.scripts.figures();
    let percentage = |part: usize, whole: usize| part as f64 * 100.0 / whole.max(1) as f64;
    let facts = [
        ("peak.allocated", Count(peak)),
        ("total.allocated", Count(used)),
        ("startup.allocated", Count(0)),
        ("replication.backlog", Count(0)),
        ("clients.slaves", Count(0)),
        ("cluster.links", Count(0)),
        ("aof.buffer", Count(0)),
        ("lua.caches", Count(scripts.lua_bytes + scripts.script_bytes)),
        ("functions.caches", Count(scripts.library_bytes)),
        ("overhead.total", Count(used.saturating_sub(dataset))),
        ("keys.count", Count(keys)),
        ("keys.bytes-per-key", Count(used / keys.max(1))),
        ("dataset.bytes", Count(dataset)),
        ("dataset.percentage", Ratio(percentage(dataset, used))),
        ("peak.percentage", Ratio(percentage(used, peak))),
        ("allocator.resident", Count(resident)),
        ("fragmentation", Ratio(resident as f64 / used.max(1) as f64)),
        ("fragmentation.bytes", Count(resident.saturating_sub(used))),
    ];
    call.output.map(facts.len());
    for (name, fact) in facts {
        call.output.bulk(name.as_bytes());
        match fact {
            Count(count) => call.output.integer(count as i64),
            Ratio(ratio) => call.output.double(ratio),
        }
    }
    Ok(())
}

fn doctor(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let limit = call.settings.maxmemory;
    let used = call.services.store.memory();
    let text = if limit > 0 && used > limit / 10 * 9 {
        "The data takes over nine tenths of maxmemory: raise it, or choose a maxmemory-policy that evicts.\n"
    } else {
        "No memory problems were found.\n"
    };
    call.output.verbatim("txt", text);
    Ok(())
}

fn malloc_stats(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// Each thread gives its spare memory back, at its next tick.
fn purge(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    allocator::ask_for_purge();
    call.output.ok();
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
    ]);
    Ok(())
}
