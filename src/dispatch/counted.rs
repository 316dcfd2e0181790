//! Running a command and noting what it cost: counts always, its duration if it is slow by nature, took long or is a sample.
//!
//! Commands that are flagged as quick are timed one in [`TIMING_SAMPLE`], unless the slow log asks for commands so
//! short that any may matter.  Between samples only the processor's ticks are looked at, which is nearly free: so a quick
//! command that took long, for its many keys or by mischance, is always seen.

use crate::clock::{self, Now};
use crate::command::{Call, Flags, secrets};
use crate::metrics::latency::Event;
use crate::metrics::slow_log::{SlowCommand, shortened};
use crate::metrics::{CommandCounters, LONG_MICROS};

/// Of the quick commands one in this many is timed, so that knowing latencies costs under two percent.
const TIMING_SAMPLE: u64 = 64;

/// The flags of commands that are timed by sampling.
pub(super) const QUICK: Flags = Flags::FAST.union(Flags::QUICK);

/// With a slow log for commands shorter than this, in microseconds, every command is timed.
const QUICK_MICROS: i64 = 1000;

/// A command of fewer ticks took less than [`LONG_MICROS`] on any machine.
const LONG_TICKS: u64 = 100_000;

/// Runs the handler of a call, and counts and times it.  Returns the time at its end, if it was looked at.  `ticks` are
/// those at the end of the command before, or at the start of the batch, and become those at the end of this one.
pub(super) fn run(call: &mut Call<'_, '_>, ticks: &mut u64) -> Option<Now> {
    let services = call.services;
    let counters = services.metrics.thread(call.slot).command(call.row.id);
    counters.calls.add(1);
    let is_quick = call.row.command.flags.intersects(QUICK)
        && !(0..QUICK_MICROS).contains(&call.settings.slowlog_log_slower_than);
    if is_quick && counters.calls.get() % TIMING_SAMPLE != 1 {
        handle(call, counters);
        let ended = clock::ticks();
        let duration = ended.wrapping_sub(std::mem::replace(ticks, ended));
        if duration >= LONG_TICKS {
            note_long(call, counters, duration);
        }
        return None;
    }
    let began = services.clock.now();
    handle(call, counters);
    let now = services.clock.now();
    let micros = now.micros().saturating_sub(began.micros());
    // A sample stands for those since the last one.
    let weight = if is_quick && counters.calls.get() > 1 { TIMING_SAMPLE } else { 1 };
    note(call, counters, now, micros, weight);
    *ticks = clock::ticks();
    Some(now)
}

fn handle(call: &mut Call<'_, '_>, counters: &CommandCounters) {
    if !call.run() {
        counters.failed.add(1);
    }
}

/// Notes a command of which only the ticks are known, if it took long.
#[cold]
fn note_long(call: &mut Call<'_, '_>, counters: &CommandCounters, ticks: u64) {
    let clock = &call.services.clock;
    let micros = clock.micros_of(ticks);
    if micros >= LONG_MICROS {
        note(call, counters, clock.now(), micros, 1);
    }
}

/// Notes how long a command took that has just ended.  The settings are those after it ran, as in Redis.
fn note(call: &mut Call<'_, '_>, counters: &CommandCounters, now: Now, micros: u64, weight: u64) {
    let services = call.services;
    call.settings.refresh(&services.settings);
    counters.time(micros, weight, call.settings.latency_tracking);
    note_slow(call, micros, now.wall_millis() / 1000);
    let event =
        if call.row.command.flags.contains(Flags::FAST) { Event::FastCommand } else { Event::Command };
    services.metrics.latency.note(event, now, micros, call.settings.latency_monitor_threshold);
}

/// Puts the command into the slow log if it took that long.
fn note_slow(call: &Call<'_, '_>, micros: u64, wall_seconds: i64) {
    let threshold = call.settings.slowlog_log_slower_than;
    let slow = u64::try_from(threshold).is_ok_and(|threshold| micros >= threshold);
    if !slow || call.row.command.flags.contains(Flags::SKIP_SLOWLOG) {
        return;
    }
    let command = SlowCommand {
        id: 0,
        wall_seconds,
        micros,
        arguments: shortened(secrets::shown(&call.row.name, call.arguments).into_iter()),
        address: call.client.shared.address.to_string(),
        client_name: call.client.shared.identity().name,
    };
    call.services.metrics.slow_log.add(command, call.settings.slowlog_max_len);
}
