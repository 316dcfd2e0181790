//! The sections about the data of all services: memory and persistence.

use crate::command::Services;
use crate::metrics::process::{Machine, Process};
use crate::service::{Page, human_bytes};

pub(super) fn memory(page: &mut Page, services: &Services) {
    let used = services.store.memory();
    let peak = services.metrics.rates.note_memory(used);
    let resident = Process::now().resident_bytes;
    page.bytes("used_memory", used as u64);
    page.bytes("used_memory_rss", resident);
    page.bytes("used_memory_peak", peak as u64);
    page.field("used_memory_peak_perc", format_args!("{:.2}%", percent(used, peak)));
    let dataset = services.store.memory_parts().entries;
    page.field("used_memory_dataset", dataset);
    page.field("used_memory_dataset_perc", format_args!("{:.2}%", percent(dataset, used)));
    page.bytes("total_system_memory", Machine::now().memory_bytes);
    scripts(page, services);
    page.field("maxmemory", services.settings.current().maxmemory);
    page.field("maxmemory_human", human_bytes(services.settings.current().maxmemory as u64));
    page.field("maxmemory_policy", services.settings.current().maxmemory_policy.word());
    page.field("mem_fragmentation_ratio", format_args!("{:.2}", resident as f64 / used.max(1) as f64));
    page.field("mem_fragmentation_bytes", resident as i64 - used as i64);
    page.field("mem_allocator", "mimalloc");
    page.zeros(&["active_defrag_running"]);
}

/// Scripts and functions share one Lua for each thread, so all of its memory stands with EVAL.
fn scripts(page: &mut Page, services: &Services) {
    let figures = services.scripts.figures();
    let lua = figures.lua_bytes as u64;
    page.bytes("used_memory_lua", lua);
    page.field("used_memory_vm_eval", lua);
    page.field("used_memory_scripts_eval", figures.script_bytes);
    page.field("number_of_cached_scripts", figures.scripts);
    page.field("number_of_functions", figures.functions);
    page.field("number_of_libraries", figures.libraries);
    page.field("used_memory_vm_functions", 0);
    page.bytes("used_memory_vm_total", lua);
    page.field("used_memory_functions", figures.library_bytes);
    page.bytes("used_memory_scripts", (figures.script_bytes + figures.library_bytes) as u64);
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// The cache keeps nothing on disk, and the fields that clients look at say so.  The journal follows, under the name of each
/// service that is kept.
pub(super) fn persistence(page: &mut Page, services: &Services) {
    page.zeros(&["loading", "async_loading", "rdb_changes_since_last_save", "rdb_bgsave_in_progress"]);
    page.field("rdb_last_save_time", services.started.wall_millis() / 1000);
    page.field("rdb_last_bgsave_status", "ok");
    page.field("rdb_last_bgsave_time_sec", -1);
    page.field("rdb_current_bgsave_time_sec", -1);
    page.zeros(&["rdb_saves", "aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    page.field("aof_last_rewrite_time_sec", -1);
    page.field("aof_current_rewrite_time_sec", -1);
    page.field("aof_last_bgrewrite_status", "ok");
    page.field("aof_last_write_status", "ok");
    services.each_journal(|service, status| {
        let word = if status.failure.is_some() { "err" } else { "ok" };
        page.field(&format!("{service}_journal_status"), word);
        let mut field = |name: &str, value: u64| page.field(&format!("{service}_journal_{name}"), value);
        field("appended_bytes", status.appended.0);
        field("synced_bytes", status.synced.0);
        field("syncs", status.syncs);
        field("last_sync_usec", status.last_sync_micros);
        field("snapshot_bytes", status.snapshot_bytes);
    });
}
