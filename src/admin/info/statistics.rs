//! The sections of counts: stats, commandstats, errorstats, latencystats.

use crate::client::Door;
use crate::command::Services;
use crate::metrics::CommandTotals;
use crate::service::Page;
use crate::store::recency::{Member, Standing};

pub(super) fn stats(page: &mut Page, services: &Services) {
    let totals = services.metrics.totals();
    let rates = services.metrics.rates.per_second();
    let counts = services.store.counts();
    page.field("total_connections_received", services.clients.accepted(Door::Resp));
    page.field("total_commands_processed", totals.commands);
    page.field("instantaneous_ops_per_sec", rates.commands);
    page.field("total_net_input_bytes", totals.bytes_in);
    page.field("total_net_output_bytes", totals.bytes_out);
    page.field("instantaneous_input_kbps", format_args!("{:.2}", rates.kilobytes_in));
    page.field("instantaneous_output_kbps", format_args!("{:.2}", rates.kilobytes_out));
    page.field("rejected_connections", services.clients.rejected(Door::Resp));
    page.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    page.field("expired_keys", counts.expired);
    page.field("expiry_lag_max_ms", counts.expiry_lag_max);
    page.field("evicted_keys", counts.evicted);
    page.field("evicted_clients", 0);
    adaptive_eviction(page, services);
    page.field("keyspace_hits", totals.hits);
    page.field("keyspace_misses", totals.misses);
    page.field("pubsub_channels", services.fan_out.channels.subject_count());
    page.field("pubsub_patterns", services.fan_out.channels.glob_count());
    page.field("pubsubshard_channels", services.fan_out.shard_channels.subject_count());
    page.field("total_error_replies", services.metrics.errors().values().sum::<u64>());
    page.field("dropped_log_lines", services.log.dropped());
    page.field("acl_access_denied_auth", services.attempts.failures() + services.attempts.unheard_count());
    page.zeros(&["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"]);
    page.zeros(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"]);
}

/// Which member of an adaptive eviction policy is in force, and which part of the latest sampled reads each would have
/// answered.
fn adaptive_eviction(page: &mut Page, services: &Services) {
    if !services.settings.current().maxmemory_policy.is_adaptive() {
        return;
    }
    let Standing { winner, switches, hit_ratios, .. } = services.store.duel().standing();
    page.field("eviction_adaptive_policy", winner.name());
    page.field("eviction_adaptive_switches", switches);
    for (member, ratio) in Member::ALL.iter().zip(hit_ratios) {
        page.field(&format!("eviction_adaptive_hit_ratio_{}", member.name()), format_args!("{ratio:.4}"));
    }
}

/// Calls are exact; of quick commands only samples are timed, so their time is scaled up from the samples.
pub(super) fn commands(page: &mut Page, services: &Services) {
    for row in services.commands.rows() {
        let CommandTotals { calls, failed, rejected, micros } = services.metrics.command_totals(row.id);
        if calls + rejected == 0 {
            continue;
        }
        let per_call = if calls == 0 { 0.0 } else { micros as f64 / calls as f64 };
        let line = format_args!(
            "calls={calls},usec={micros},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={failed}"
        );
        page.field(&format!("cmdstat_{}", row.name), line);
    }
}

/// Error replies by their first word.
pub(super) fn errors(page: &mut Page, services: &Services) {
    for (code, count) in services.metrics.errors() {
        page.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// The percentiles of the timed calls: all of slow commands, and samples of quick ones.
pub(super) fn latencies(page: &mut Page, services: &Services) {
    for row in services.commands.rows() {
        let durations = services.metrics.durations(row.id);
        if durations.is_empty() {
            continue;
        }
        let [median, high, extreme] = [50.0, 99.0, 99.9].map(|percent| durations.quantile(percent));
        let line = format_args!("p50={median}.000,p99={high}.000,p99.9={extreme}.000");
        page.field(&format!("latency_percentiles_usec_{}", row.name), line);
    }
}
