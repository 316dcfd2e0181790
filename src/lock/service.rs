//! The locks as a service: their row, their section of INFO and their metrics.

use super::{commands, endpoints};
use crate::command::Services;
use crate::metrics::exposition::Exposition;
use crate::service::{Page, Section, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "locks",
    commands: &[
        commands::acquire::COMMANDS,
        commands::holders::COMMANDS,
        commands::sessions::COMMANDS,
        commands::reports::COMMANDS,
        commands::fenced::COMMANDS,
    ],
    endpoints: endpoints::endpoints,
    info: &[Section::by_default("locks", "Locks", info)],
    metrics,
    health: Some(|services| services.journal_health("locks")),
    advance: |services, now, effects| {
        services.on_locks(now, effects, |locks, now, aftermath| {
            locks.act(now, aftermath, |core, now, events| core.advance(now, events));
        });
    },
    follow_settings: |services| services.locks.limit_memory(services.settings.current().lock_maxmemory),
    disconnect: |services, client, now, effects| {
        let connection = client.shared.id;
        // Its sessions end, and their locks with them.  No reply waits for that.
        services.on_locks(now, effects, |locks, now, aftermath| {
            locks.disconnect(connection, now, aftermath);
        });
    },
    ..Service::ROW
};

fn info(page: &mut Page, services: &Services) {
    let (totals, counts) = services.locks.counted();
    page.field("lock_resources", totals.resources);
    page.field("lock_owners", totals.owners);
    page.field("lock_leases", totals.leases);
    page.field("lock_waiters", totals.waiters);
    page.field("lock_sessions", totals.sessions);
    page.field("lock_request_ids", totals.request_ids);
    page.field("lock_memory", totals.memory);
    page.field("lock_maxmemory", services.settings.current().lock_maxmemory);
    page.field("lock_last_fence", totals.last_fence);
    page.field("locks_granted", counts.granted);
    page.field("locks_released", counts.released);
    page.field("locks_renewed", counts.renewed);
    page.field("locks_expired", counts.expired);
    page.field("locks_forced", counts.forced);
    page.field("locks_lost", counts.lost);
    page.field("locks_waited_for", counts.waited);
    page.field("locks_timed_out", counts.timed_out);
    page.field("locks_withdrawn", counts.withdrawn);
    page.field("locks_deadlocks", counts.deadlocks);
}

fn metrics(text: &mut Exposition, services: &Services) {
    let (totals, counts) = services.locks.counted();
    text.gauge("quartet_locks", "Resources, owners, leases, waiters and sessions of the locks.").values(
        "kind",
        [
            ("resource", totals.resources),
            ("owner", totals.owners),
            ("lease", totals.leases),
            ("waiter", totals.waiters),
            ("session", totals.sessions),
        ],
    );
    text.gauge("quartet_lock_memory_bytes", "Memory of the locks, about.").value(totals.memory);
    text.gauge("quartet_lock_memory_limit_bytes", "The limit for the memory of the locks; 0 for none.")
        .value(services.settings.current().lock_maxmemory);
    text.counter("quartet_lock_events_total", "Events of locks, by kind.").values(
        "event",
        [
            ("granted", counts.granted),
            ("released", counts.released),
            ("renewed", counts.renewed),
            ("expired", counts.expired),
            ("forced", counts.forced),
            ("lost", counts.lost),
            ("waited", counts.waited),
            ("timed_out", counts.timed_out),
            ("withdrawn", counts.withdrawn),
            ("deadlock", counts.deadlocks),
        ],
    );
}
