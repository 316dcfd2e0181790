//! What operators and clients ask about the server itself: COMMAND, CONFIG, INFO and their like.

pub mod access;
pub mod categories;
pub mod cluster;
pub mod command;
mod command_docs;
mod command_info;
pub mod command_page;
pub mod config;
pub mod debug;
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

/// The server itself as a service: what clients say about their connections and operators about the server.
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
    follow_settings: |services| services.log.set_level(services.settings.current().log_level),
    disconnect: |services, client, _, _| {
        if client.shared.flags().contains(ClientFlags::MONITOR) {
            services.monitors.remove(&client.shared.outbox);
        }
    },
    ..Service::ROW
};

/// What most of these commands are: for operators, and answered in every state of the server.
const OPERATOR: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);

/// The same, kept out of scripts.
const OPERATOR_NO_SCRIPT: Flags = OPERATOR.union(Flags::NOSCRIPT);

/// What HELP subcommands are.
const HELP: Flags = Flags::LOADING.union(Flags::STALE);

/// What Redis says of every HELP subcommand.
const HELP_SUMMARY: &str = "Returns helpful text about the different subcommands.";
