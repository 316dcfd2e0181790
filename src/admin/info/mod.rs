//! INFO: a text of sections with fields, under the names that clients and monitoring programs look for.
//!
//! Each service lists its sections in its row; `SECTIONS` are those of the server itself.

mod data;
mod server;
mod statistics;

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::refusal::Refusal;
use crate::service::{Page, Section, Shown};

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
    handler: Handler::Data(info),
    ..Command::ROW
}];

/// The sections about the server itself, which come before those of the services.
pub(super) const SECTIONS: &[Section] = &[
    Section::by_default("server", "Server", server::server),
    Section::by_default("clients", "Clients", server::clients),
    Section::by_default("memory", "Memory", data::memory),
    Section::by_default("persistence", "Persistence", data::persistence),
    Section::by_default("stats", "Stats", statistics::stats),
    Section::by_default("replication", "Replication", server::replication),
    Section::by_default("cpu", "CPU", server::cpu),
    Section::by_default("modules", "Modules", |_, _| ()),
    Section::with_all("commandstats", "Commandstats", statistics::commands),
    Section::by_default("errorstats", "Errorstats", statistics::errors),
    Section::with_all("latencystats", "Latencystats", statistics::latencies),
    Section::by_default("cluster", "Cluster", server::cluster),
];

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let asked: Vec<&[u8]> = call.arguments.from(1).iter().collect();
    let sections = call.services.rows.iter().flat_map(|service| service.info);
    let mut page = Page::default();
    for section in sections.filter(|section| is_wanted(section, &asked)) {
        page.heading(section.heading);
        (section.write)(&mut page, call.services);
    }
    call.output.verbatim("txt", page.text());
    Ok(())
}

fn is_wanted(section: &Section, asked: &[&[u8]]) -> bool {
    let by_default = section.shown == Shown::ByDefault;
    asked.is_empty() && by_default
        || asked.iter().any(|word| match word.to_ascii_lowercase().as_slice() {
            b"all" | b"everything" => true,
            b"default" => by_default,
            name => name == section.name.as_bytes(),
        })
}
