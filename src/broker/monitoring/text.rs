//! Times and durations as nats-server writes them.

use std::time::Duration;

use crate::clock::{Now, wall_time};

/// The wall time of a moment in milliseconds of the server's clock.
pub(super) fn wall_time_of(millis: u64, now: Now) -> String {
    wall_time(now.wall_of_deadline(millis) * 1000)
}

/// How long something has lasted: `1d0h0m7s`.
pub(super) fn uptime(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let parts =
        [(years, 'y'), (days % 365, 'd'), (hours % 24, 'h'), (minutes % 60, 'm'), (seconds % 60, 's')];
    let first = parts.iter().position(|(amount, _)| *amount > 0).unwrap_or(parts.len() - 1);
    parts[first..].iter().map(|(amount, unit)| format!("{amount}{unit}")).collect()
}

/// A round trip as Go writes it: `298µs`, `1.5ms`, `2s`.
pub(super) fn round_trip(taken: Duration) -> String {
    let micros = taken.as_micros() as u64;
    match micros {
        0..1000 => format!("{micros}µs"),
        1000..1_000_000 => format!("{}ms", micros as f64 / 1000.0),
        _ => format!("{}s", micros as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_by_nats_server() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_605, "1h0m5s"),
            (86_400, "1d0h0m0s"),
            (365 * 86_400 + 61, "1y0d0h1m1s"),
        ] {
            assert_eq!(uptime(seconds), expected);
        }
        for (micros, expected) in [(0, "0µs"), (298, "298µs"), (1_500, "1.5ms"), (2_000_000, "2s")] {
            assert_eq!(round_trip(Duration::from_micros(micros)), expected);
        }
    }
}
