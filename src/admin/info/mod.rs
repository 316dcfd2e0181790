//! INFO: a text of sections with fields, under the names that clients and monitoring programs look for.
//!
//! A section is a row of `SECTIONS`: its name, its heading, when it is shown unasked, and what writes its fields.

mod data;
mod limits;
mod locks;
mod page;
mod server;
mod statistics;

pub use page::{Page, human_bytes};

use crate::command::{Call, Command, Flags, Group, Services};
use crate::refusal::Refusal;

/// The version of Redis whose commands and replies are served: clients choose what to send by it.
pub const REDIS_VERSION: &str = "7.2.4";

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "info",
    syntax: "[section [section ...]]",
    summary: "Returns information and statistics about the server.",
    group: Group::Server,
    // It walks the store, because each shard counts for itself.
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::DANGEROUS).union(Flags::SELF_LOCKING),
    handler: info,
    ..Command::ROW
}];

/// When a section is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    /// When nothing is asked for.
    ByDefault,
    /// With `all`, or when it is named.
    WithAll,
}

struct Section {
    name: &'static str,
    heading: &'static str,
    shown: Shown,
    write: fn(&mut Page, &Services),
}

/// All sections in the order they are shown.
const SECTIONS: &[Section] = &[
    section("server", "Server", Shown::ByDefault, server::server),
    section("clients", "Clients", Shown::ByDefault, server::clients),
    section("memory", "Memory", Shown::ByDefault, data::memory),
    section("persistence", "Persistence", Shown::ByDefault, data::persistence),
    section("stats", "Stats", Shown::ByDefault, statistics::stats),
    section("replication", "Replication", Shown::ByDefault, server::replication),
    section("cpu", "CPU", Shown::ByDefault, server::cpu),
    section("modules", "Modules", Shown::ByDefault, |_, _| ()),
    section("commandstats", "Commandstats", Shown::WithAll, statistics::commands),
    section("errorstats", "Errorstats", Shown::ByDefault, statistics::errors),
    section("latencystats", "Latencystats", Shown::WithAll, statistics::latencies),
    section("locks", "Locks", Shown::ByDefault, locks::locks),
    section("cluster", "Cluster", Shown::ByDefault, server::cluster),
    section("limits", "Limits", Shown::ByDefault, limits::limits),
    section("keyspace", "Keyspace", Shown::ByDefault, data::keyspace),
];

const fn section(
    name: &'static str,
    heading: &'static str,
    shown: Shown,
    write: fn(&mut Page, &Services),
) -> Section {
    Section { name, heading, shown, write }
}

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let asked: Vec<&[u8]> = call.arguments.from(1).iter().collect();
    let mut page = Page::default();
    for section in SECTIONS.iter().filter(|section| wanted(section, &asked)) {
        page.heading(section.heading);
        (section.write)(&mut page, call.services);
    }
    call.output.verbatim("txt", page.text());
    Ok(())
}

fn wanted(section: &Section, asked: &[&[u8]]) -> bool {
    let by_default = section.shown == Shown::ByDefault;
    asked.is_empty() && by_default
        || asked.iter().any(|word| match word.to_ascii_lowercase().as_slice() {
            b"all" | b"everything" => true,
            b"default" => by_default,
            name => name == section.name.as_bytes(),
        })
}
