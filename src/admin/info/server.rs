//! The sections about the program itself: server, clients, replication, processor time, cluster.

use super::REDIS_VERSION;
use crate::client::Door;
use crate::command::Services;
use crate::metrics::process::{Machine, Process};
use crate::service::Page;

const SECONDS_PER_DAY: u64 = 86_400;

/// Redis names a second history of replication, which a server that never was a replica does not have.
const NO_REPLICATION_ID: &str = "0000000000000000000000000000000000000000";

pub(super) fn server(page: &mut Page, services: &Services) {
    let now = services.clock.now();
    let settings = services.settings.current();
    let uptime = now.micros().saturating_sub(services.started.micros()) / 1_000_000;
    page.field("redis_version", REDIS_VERSION);
    page.field("server_name", "quartet");
    page.field("quartet_version", env!("CARGO_PKG_VERSION"));
    page.field("redis_git_sha1", "00000000");
    page.field("redis_git_dirty", 0);
    page.field("redis_build_id", 0);
    page.field("redis_mode", "standalone");
    page.field("os", Machine::now().operating_system);
    page.field("arch_bits", usize::BITS);
    page.field("monotonic_clock", "POSIX clock_gettime");
    page.field("multiplexing_api", "epoll");
    page.field("process_id", std::process::id());
    page.field("process_supervised", "no");
    page.field("run_id", &services.run_id);
    page.field("tcp_port", settings.port.unwrap_or(0));
    page.field("server_time_usec", now.wall_micros());
    page.field("uptime_in_seconds", uptime);
    page.field("uptime_in_days", uptime / SECONDS_PER_DAY);
    page.field("threads", settings.threads);
    page.field("executable", executable());
    page.field(
        "config_file",
        settings.config.as_ref().map_or(String::new(), |path| path.display().to_string()),
    );
}

/// Where the program lies, empty if the system does not tell.
fn executable() -> String {
    std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default()
}

pub(super) fn clients(page: &mut Page, services: &Services) {
    page.field("connected_clients", services.clients.len(Door::Resp));
    page.field("cluster_connections", 0);
    page.field("maxclients", services.settings.current().maxclients);
    let blocked = services.clients.blocked();
    page.field("blocked_clients", blocked);
    page.field("tracking_clients", 0);
    // No client waits without a time-out.
    page.field("clients_in_timeout_table", blocked);
}

pub(super) fn replication(page: &mut Page, services: &Services) {
    page.field("role", "master");
    page.field("connected_slaves", 0);
    page.field("master_failover_state", "no-failover");
    page.field("master_replid", &services.run_id);
    page.field("master_replid2", NO_REPLICATION_ID);
    page.field("master_repl_offset", 0);
    page.field("second_repl_offset", -1);
    page.zeros(&[
        "repl_backlog_active",
        "repl_backlog_size",
        "repl_backlog_first_byte_offset",
        "repl_backlog_histlen",
    ]);
}

pub(super) fn cpu(page: &mut Page, _: &Services) {
    let process = Process::now();
    page.field("used_cpu_sys", format_args!("{:.6}", process.system_seconds));
    page.field("used_cpu_user", format_args!("{:.6}", process.user_seconds));
    page.field("used_cpu_sys_children", format_args!("{:.6}", process.children_system_seconds));
    page.field("used_cpu_user_children", format_args!("{:.6}", process.children_user_seconds));
}

pub(super) fn cluster(page: &mut Page, _: &Services) {
    page.field("cluster_enabled", 0);
}
