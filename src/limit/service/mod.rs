//! The rate limiter as a service: its row, its section of INFO and its metrics.

mod counters;
mod figures;
mod operations;

pub use counters::LockedCounter;

use super::statistics::Totals;
use super::{commands, endpoints, persistence};
use crate::command::Services;
use crate::metrics::exposition::Exposition;
use crate::service::{Page, Persistence, Section, Service};

/// Policies that have samples of their own in the metrics, the first by name.
const POLICIES_IN_METRICS_MAX: usize = 256;

/// Policies that INFO shows one by one; RL.STATS shows all.
const POLICIES_IN_INFO_MAX: usize = 100;

/// The service's row.
pub const SERVICE: Service = Service {
    name: "limits",
    commands: &[
        commands::throttle::COMMANDS,
        commands::check::COMMANDS,
        commands::policy::COMMANDS,
        commands::reservations::COMMANDS,
        commands::slots::COMMANDS,
        commands::corrections::COMMANDS,
        commands::lists::COMMANDS,
        commands::statistics::COMMANDS,
    ],
    endpoints: endpoints::endpoints,
    info: &[Section::by_default("limits", "Limits", info)],
    metrics,
    figures: figures::figures,
    health: Some(|services| services.journal_health("limits")),
    advance: |services, now, _| services.advance_limits(now),
    keep_house: |services| {
        services.limits.follow_wall_clock(services.clock.now());
        services.count_keys_of_full_policies();
    },
    follow_settings: Services::update_counter_budget,
    persistence: Some(Persistence {
        journal: |services| services.limits.persistence.journal(),
        persistent: persistence::persistent,
    }),
    ..Service::ROW
};

fn info(page: &mut Page, services: &Services) {
    let policies = services.limits.policies.list();
    let each = policies.iter().map(|policy| policy.statistics.totals());
    let sum = each.fold(Totals::default(), |sum, totals| Totals {
        allowed: sum.allowed + totals.allowed,
        refused: sum.refused + totals.refused,
        shadow_refused: sum.shadow_refused + totals.shadow_refused,
        without_room: sum.without_room + totals.without_room,
    });
    page.field("limit_policies", policies.len());
    page.field("limit_allowed", sum.allowed);
    page.field("limit_refused", sum.refused);
    page.field("limit_shadow_refused", sum.shadow_refused);
    page.field("limit_without_room", sum.without_room);
    page.field("limit_memory", services.store.pinned_memory());
    page.field("limit_maxmemory", services.settings.current().limit_maxmemory);
    for policy in policies.iter().take(POLICIES_IN_INFO_MAX) {
        let Totals { allowed, refused, shadow_refused, without_room } = policy.statistics.totals();
        let line = format_args!(
            "allowed={allowed},refused={refused},shadow_refused={shadow_refused},without_room={without_room}"
        );
        page.field(&format!("limit_policy_{}", policy.name()), line);
    }
}

fn metrics(text: &mut Exposition, services: &Services) {
    let policies = services.limits.policies.list();
    text.gauge("quartet_limit_policies", "Policies of the rate limiter.").value(policies.len());
    text.gauge("quartet_limit_memory_bytes", "Memory of the rate limiter's counters.")
        .value(services.store.pinned_memory());
    text.gauge(
        "quartet_limit_memory_limit_bytes",
        "The limit for the memory of the rate limiter's counters; 0 for none.",
    )
    .value(services.settings.current().limit_maxmemory);
    let shown = || policies.iter().take(POLICIES_IN_METRICS_MAX);
    text.counter(
        "quartet_limit_without_room_total",
        "Checks of a new key that found no room for its counter, so that the policy's rule for that case decided.",
    );
    for policy in shown() {
        text.sample(&[("policy", policy.name())], policy.statistics.totals().without_room);
    }
    text.counter("quartet_limit_decisions_total", "Decisions of the rate limiter, by policy.");
    for policy in shown() {
        let totals = policy.statistics.totals();
        let decisions = [
            ("allowed", totals.allowed),
            ("refused", totals.refused),
            ("shadow_refused", totals.shadow_refused),
        ];
        for (decision, count) in decisions {
            text.sample(&[("policy", policy.name()), ("decision", decision)], count);
        }
    }
}
