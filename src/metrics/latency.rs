//! Events that held a thread up for longer than `latency-monitor-threshold`, for LATENCY.

use std::collections::{BTreeMap, VecDeque};

use crate::lock_order::{Mutex, rank};

use crate::clock::Now;

/// Samples kept per kind of event, as in Redis.
const SAMPLES_MAX: usize = 160;

/// The kind of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A command.
    Command,
    /// A command that is flagged as taking constant time.
    FastCommand,
    /// A step of active expiry.
    ExpireCycle,
}

impl Event {
    /// All kinds.
    pub const ALL: &[Event] = &[Event::Command, Event::FastCommand, Event::ExpireCycle];

    /// The name that clients use.
    pub fn name(self) -> &'static str {
        match self {
            Event::Command => "command",
            Event::FastCommand => "fast-command",
            Event::ExpireCycle => "expire-cycle",
        }
    }
}

/// One second in which the event happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Seconds since 1970.
    pub wall_seconds: i64,
    /// The longest duration in that second, in milliseconds.
    pub millis: u64,
}

/// The history of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The samples, the oldest first.
    pub samples: VecDeque<Sample>,
    /// The longest duration ever, in milliseconds.
    pub longest_millis: u64,
}

/// The histories of all kinds that have happened.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    histories: Mutex<BTreeMap<Event, History>, { rank::LATENCIES }>,
}

impl LatencyMonitor {
    /// Notes an event that ended at `now`, if it took at least `threshold_millis`.  A threshold of 0 means never.
    pub fn note(&self, event: Event, now: Now, micros: u64, threshold_millis: u64) {
        let millis = micros / 1000;
        if threshold_millis == 0 || millis < threshold_millis {
            return;
        }
        let mut histories = self.histories.lock();
        let history = histories.entry(event).or_default();
        history.longest_millis = history.longest_millis.max(millis);
        let wall_seconds = now.wall_millis() / 1000;
        match history.samples.back_mut() {
            Some(last) if last.wall_seconds == wall_seconds => last.millis = last.millis.max(millis),
            _ => history.samples.push_back(Sample { wall_seconds, millis }),
        }
        if history.samples.len() > SAMPLES_MAX {
            history.samples.pop_front();
        }
    }

    /// The histories of all kinds that have happened.
    pub fn histories(&self) -> Vec<(Event, History)> {
        self.histories.lock().iter().map(|(event, history)| (*event, history.clone())).collect()
    }

    /// The history of the kind with this name.
    pub fn history(&self, name: &[u8]) -> Option<History> {
        let event = Event::ALL.iter().find(|event| event.name().as_bytes().eq_ignore_ascii_case(name))?;
        self.histories.lock().get(event).cloned()
    }

    /// Forgets the histories of these names, or all if there are no names.  Returns how many it forgot.
    pub fn reset(&self, names: &[&[u8]]) -> usize {
        let mut histories = self.histories.lock();
        let before = histories.len();
        histories.retain(|event, _| {
            !names.is_empty() && !names.iter().any(|name| name.eq_ignore_ascii_case(event.name().as_bytes()))
        });
        before - histories.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_keeps_its_longest_event() {
        let monitor = LatencyMonitor::default();
        let now = Now::at(Duration::ZERO, Duration::from_secs(100));
        for (micros, threshold) in [(9000, 5), (20_000, 5), (12_000, 5), (4000, 5), (90_000, 0)] {
            monitor.note(Event::Command, now, micros, threshold);
        }
        monitor.note(Event::Command, now.after(Duration::from_secs(1)), 7000, 5);
        let history = monitor.history(b"COMMAND").expect("it happened");
        let samples: Vec<_> = history.samples.iter().map(|s| (s.wall_seconds, s.millis)).collect();
        assert_eq!(samples, [(100, 20), (101, 7)]);
        assert_eq!(history.longest_millis, 20);
        assert_eq!(monitor.reset(&[b"expire-cycle"]), 0);
        assert_eq!(monitor.reset(&[]), 1);
        assert!(monitor.histories().is_empty());
    }
}
