//! Commands about the server itself: COMMAND, CONFIG, INFO and others.

pub mod access;
pub mod categories;
pub mod cluster;
pub mod command;
mod command_docs;
mod command_info;
pub mod command_page;
pub mod config;
pub mod debug;
mod figures;
pub mod info;
pub mod latency;
mod latency_report;
pub mod lifecycle;
pub mod memory;
pub mod slowlog;

use crate::client::ClientFlags;
use crate::command::Flags;
use crate::connection;
use crate::service::Service;

/// The server itself as a service: commands about connections and about the server.
pub const SERVICE: Service = Service {
    name: "server",
    commands: &[
        connection::COMMANDS,
        connection::transactions::COMMANDS,
        command::COMMANDS,
        config::COMMANDS,
        info::COMMANDS,
        slowlog::COMMANDS,
        latency::COMMANDS,
        memory::COMMANDS,
        lifecycle::COMMANDS,
        access::COMMANDS,
        cluster::COMMANDS,
        debug::COMMANDS,
    ],
    info: info::SECTIONS,
    figures: figures::figures,
    follow_settings: |services| services.log.set_level(services.settings.current().log_level),
    disconnect: |services, client, _, _| {
        if client.resp().flags().contains(ClientFlags::MONITOR) {
            services.monitors.remove(&client.shared.outbox);
        }
    },
    ..Service::ROW
};

/// The flags of most of these commands: they are for operators, and answered in every state of the server.
const OPERATOR: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);

/// The same, kept out of scripts.
const OPERATOR_NO_SCRIPT: Flags = OPERATOR.union(Flags::NOSCRIPT);

/// The flags of HELP subcommands.
const HELP: Flags = Flags::LOADING.union(Flags::STALE);

/// Redis' summary of every HELP subcommand.
const HELP_SUMMARY: &str = "Returns helpful text about the different subcommands.";
