//! Running a command and noting what it cost: counts always, its duration if it is slow by nature or a sample.
//!
//! Commands that are flagged as quick are timed one in [`TIMING_SAMPLE`], unless the slow log asks for commands so
//! short that any may matter; so a quick command that took long by mischance is seen by samples only.

use crate::clock::Now;
use crate::command::{Call, Flags};
use crate::metrics::latency::Event;
use crate::metrics::slow_log::{SlowCommand, shortened};

/// Of the quick commands one in this many is timed, so that knowing latencies costs under two percent.
const TIMING_SAMPLE: u64 = 64;

/// The flags of commands that are timed by sampling.
pub(super) const QUICK: Flags = Flags::FAST.union(Flags::QUICK);

/// With a slow log for commands shorter than this, in microseconds, every command is timed.
const QUICK_MICROS: i64 = 1000;

/// What the slow log shows instead of a password.
const REDACTED: &[u8] = b"(redacted)";

/// Runs the handler of a call, and counts and times it.  Returns the time at its end, if it was looked at.
pub(super) fn run(call: &mut Call<'_, '_>) -> Option<Now> {
    let services = call.services;
    let counters = services.metrics.thread(call.slot).command(call.row.id);
    counters.calls.add(1);
    let timed = !call.row.command.flags.intersects(QUICK)
        || counters.calls.get() % TIMING_SAMPLE == 1
        || (0..QUICK_MICROS).contains(&services.settings.slowlog_log_slower_than());
    if !timed {
        if !call.run() {
            counters.failed.add(1);
        }
        return None;
    }
    let began = services.clock.now();
    if !call.run() {
        counters.failed.add(1);
    }
    let now = services.clock.now();
    let micros = now.micros().saturating_sub(began.micros());
    counters.time(micros, services.settings.latency_tracking());
    note_slow(call, micros, now.wall_millis() / 1000);
    let event =
        if call.row.command.flags.contains(Flags::FAST) { Event::FastCommand } else { Event::Command };
    services.metrics.latency.note(event, now, micros, services.settings.latency_monitor_threshold());
    Some(now)
}

/// Puts the command into the slow log if it took that long.  The settings are those after it ran, as in Redis.
fn note_slow(call: &Call<'_, '_>, micros: u64, wall_seconds: i64) {
    let settings = &call.services.settings;
    let threshold = settings.slowlog_log_slower_than();
    let slow = u64::try_from(threshold).is_ok_and(|threshold| micros >= threshold);
    if !slow || call.row.command.flags.contains(Flags::SKIP_SLOWLOG) {
        return;
    }
    let command = SlowCommand {
        id: 0,
        wall_seconds,
        micros,
        arguments: shown_arguments(call),
        address: call.client.shared.address.to_string(),
        client_name: call.client.shared.identity().name,
    };
    call.services.metrics.slow_log.add(command, settings.slowlog_max_len());
}

/// The arguments without passwords, shortened.
fn shown_arguments(call: &Call<'_, '_>) -> Vec<Vec<u8>> {
    let mut words: Vec<&[u8]> = call.arguments.iter().collect();
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    let secrets = match call.row.name.as_str() {
        "auth" => 1..words.len(),
        "hello" => match words.iter().position(|word| is(word, b"auth")) {
            Some(place) => place + 1..words.len().min(place + 3),
            None => 0..0,
        },
        "config|set" => match words.iter().position(|word| is(word, b"requirepass")) {
            Some(place) => place + 1..words.len().min(place + 2),
            None => 0..0,
        },
        _ => 0..0,
    };
    for word in &mut words[secrets] {
        *word = REDACTED;
    }
    shortened(words.into_iter())
}
