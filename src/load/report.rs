//! What came of a run, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::run::Outcome;
use super::workload::Workload;

/// The shares of operations whose latency is reported, and their names.
const QUANTILES: &[(f64, &str)] =
    &[(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// The figures of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) operations: u64,
    pub(super) seconds: f64,
    pub(super) operations_per_second: f64,
    /// None if nothing was timed.
    pub(super) latency_ms: Option<Latency>,
    pub(super) refused: u64,
    pub(super) errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_error: Option<String>,
    /// Operations that were due and did not begin.
    pub(super) missed: u64,
    /// Microseconds of processor time for each operation: the server's, if it can be seen, and this program's.
    pub(super) server_cpu_micros: Option<f64>,
    pub(super) own_cpu_micros: f64,
}

/// How long operations took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p999: f64,
    #[serde(rename = "p99.99")]
    pub(super) p9999: f64,
    pub(super) max: f64,
}

impl Figures {
    /// The figures of an outcome.
    pub(super) fn of(outcome: &Outcome) -> Figures {
        let tally = &outcome.tally;
        let millis = |micros: u64| micros as f64 / 1000.0;
        let at = |index: usize| {
            QUANTILES.get(index).map_or(0.0, |(share, _)| millis(tally.quantile(*share).min(tally.longest())))
        };
        let latency = || Latency {
            p50: at(0),
            p90: at(1),
            p99: at(2),
            p999: at(3),
            p9999: at(4),
            max: millis(tally.longest()),
        };
        let each = |nanos: u64| nanos as f64 / 1000.0 / tally.operations.max(1) as f64;
        Figures {
            operations: tally.operations,
            seconds: outcome.seconds,
            operations_per_second: tally.operations as f64 / outcome.seconds,
            latency_ms: (tally.timed_count() > 0).then(latency),
            refused: tally.refused,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            missed: tally.missed,
            server_cpu_micros: outcome.server_nanos.map(each),
            own_cpu_micros: each(outcome.own_nanos),
        }
    }

    /// The table of one run.  `words` says how the server was asked, if not all servers are asked alike.
    pub(super) fn table(&self, workload: &Workload, server: &str, words: Option<&str>) -> String {
        let (one, many) = workload.unit;
        let mut rows = vec![
            ("server".to_owned(), words.map_or(server.to_owned(), |words| format!("{server}, with {words}"))),
            (many.to_owned(), format!("{} in {:.2} s", grouped(self.operations), self.seconds)),
            (
                "throughput".to_owned(),
                format!("{} {many}/s", grouped(self.operations_per_second.round() as u64)),
            ),
        ];
        if let Some(latency) = &self.latency_ms {
            rows.push(("latency".to_owned(), workload.latency.to_owned()));
            let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999];
            for ((_, name), value) in QUANTILES.iter().zip(values) {
                rows.push((format!("  {name}"), format!("{value:>10.3} ms")));
            }
            rows.push(("  max".to_owned(), format!("{:>10.3} ms", latency.max)));
        }
        if let Some(micros) = self.server_cpu_micros {
            rows.push(("server's CPU".to_owned(), format!("{micros:.3} µs per {one}")));
        }
        rows.push(("own CPU".to_owned(), format!("{:.3} µs per {one}", self.own_cpu_micros)));
        if self.refused > 0 {
            rows.push(("refused".to_owned(), format!("{} (counted above)", grouped(self.refused))));
        }
        if self.missed > 0 {
            let missed = format!(
                "{} were due and did not begin: the server is slower than the rate",
                grouped(self.missed)
            );
            rows.push(("missed".to_owned(), missed));
        }
        if let Some(error) = &self.first_error {
            rows.push(("errors".to_owned(), format!("{}, the first: {error}", grouped(self.errors))));
        }
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        rows.iter().fold(String::new(), |mut table, (name, value)| {
            // A string takes everything.
            let _ = writeln!(table, "{name:<width$}  {value}");
            table
        })
    }
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_divided() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
