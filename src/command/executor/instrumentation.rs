//! Measuring commands: each is counted always, and timed if it is slow by nature, took long or is a sample.
//!
//! Of the commands that are flagged as quick, and of those within a script, which is timed itself, one in [`TIMING_SAMPLE`] is timed,
//! or every one if the slow log asks for commands so short that any may matter.  Between samples only the processor's ticks are read,
//! which costs next to nothing: so a quick command that took long, for its many keys or by mischance, is always seen.

use crate::clock::{self, Now};
use crate::command::{Call, Client, Flags, ShownArguments};
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

/// How a command ended.
pub(super) struct Ended {
    /// It was refused.
    pub failed: bool,
    /// The time at its end, if the clock was read.
    pub ended: Option<Now>,
}

/// Runs the handler of a call, and counts and times it.  `ticks` are those at the end of the command before, or at the
/// start of the batch, and become those at the end of this one.  `began` is the time now, if the clock was just read.
#[inline]
pub(super) fn run(
    call: &mut Call<'_, '_>,
    client: Option<&mut Client>,
    ticks: &mut u64,
    began: Option<Now>,
) -> Ended {
    let counters = call.services.metrics.thread(call.slot).command(call.row.id);
    let flags = call.row.command.flags;
    if flags.contains(Flags::RUNS_SCRIPT) {
        return run_restartable(call, client, counters, (ticks, began));
    }
    counters.calls.add(1);
    let is_quick = (flags.intersects(QUICK) || call.caller.is_script)
        && !(0..QUICK_MICROS).contains(&call.settings.slowlog_log_slower_than);
    if !is_quick || counters.calls.get() % TIMING_SAMPLE == 1 {
        return run_timed(call, client, counters, (ticks, began));
    }
    let failed = handle(call, client, counters);
    let ended = clock::ticks();
    let duration = ended.wrapping_sub(std::mem::replace(ticks, ended));
    if flags.contains(Flags::SELF_LOCKING) && call.continuation.flow.is_held_up() {
        // It has not run.
        return Ended { failed, ended: None };
    }
    if duration < LONG_TICKS || !note_long(call, counters, duration) {
        counters.untimed.add(1);
    }
    Ended { failed, ended: None }
}

/// As [`run`], with a look at the clock before and after.
#[inline(never)]
fn run_timed(
    call: &mut Call<'_, '_>,
    client: Option<&mut Client>,
    counters: &CommandCounters,
    (ticks, began): (&mut u64, Option<Now>),
) -> Ended {
    let services = call.services;
    let began = began.unwrap_or_else(|| services.clock.now());
    let failed = handle(call, client, counters);
    let now = services.clock.now();
    // One that is held up has not run.
    if !call.continuation.flow.is_held_up() {
        note(call, counters, now, now.micros().saturating_sub(began.micros()));
    }
    *ticks = clock::ticks();
    Ended { failed, ended: Some(now) }
}

/// As [`run_timed`], for a command that may undo what it did and be run again.  Both runs are one call, which takes as long as
/// both.
#[inline(never)]
fn run_restartable(
    call: &mut Call<'_, '_>,
    client: Option<&mut Client>,
    counters: &CommandCounters,
    (ticks, began): (&mut u64, Option<Now>),
) -> Ended {
    let services = call.services;
    let began = call.continuation.began.or(began).unwrap_or_else(|| services.clock.now());
    call.continuation.began = Some(began);
    let failed = handle(call, client, counters);
    let now = services.clock.now();
    if call.continuation.restart.is_none() {
        call.continuation.began = None;
        counters.calls.add(1);
        if std::mem::take(&mut call.continuation.has_answered_error) {
            counters.failed.add(1);
        }
        note(call, counters, now, now.micros().saturating_sub(began.micros()));
    }
    *ticks = clock::ticks();
    Ended { failed, ended: Some(now) }
}

/// Runs the handler; true if it refused.
#[inline]
fn handle(call: &mut Call<'_, '_>, client: Option<&mut Client>, counters: &CommandCounters) -> bool {
    let failed = !call.run(client);
    if failed {
        counters.failed.add(1);
    }
    failed
}

/// Notes a command of which only the ticks are known, if it took long; false if it did not.
#[cold]
fn note_long(call: &mut Call<'_, '_>, counters: &CommandCounters, ticks: u64) -> bool {
    let clock = &call.services.clock;
    let micros = clock.micros_of(ticks);
    let took_long = micros >= LONG_MICROS;
    if took_long {
        note(call, counters, clock.now(), micros);
    }
    took_long
}

/// Notes how long a command took that has just ended.  The settings are those after it ran, as in Redis.
fn note(call: &mut Call<'_, '_>, counters: &CommandCounters, now: Now, micros: u64) {
    let services = call.services;
    call.settings.refresh(&services.settings);
    counters.time(micros, call.settings.latency_tracking);
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
        arguments: shortened(ShownArguments::new(call.row, call.arguments).into_iter()),
        address: call.caller.address.to_string(),
        client_name: call.client_name(),
    };
    call.services.metrics.slow_log.add(command, call.settings.slowlog_max_len);
}
