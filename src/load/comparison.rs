//! Several servers in turns, A B and then B A, since machines drift, and only figures of one run can be compared.

use std::fmt::Write as _;

use serde::Serialize;

use super::report::{Figures, Latency, grouped};
use super::workload::Workload;

/// The rounds of one server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Compared {
    pub(super) name: String,
    /// How it was asked, if not all servers are asked alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) words: Option<&'static str>,
    pub(super) rounds: Vec<Figures>,
}

/// The middle of each figure over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Medians {
    pub(super) operations_per_second: f64,
    pub(super) latency_ms: Option<Latency>,
    pub(super) server_cpu_micros: Option<f64>,
}

/// A server's medians as shares of the last server's.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Ratios {
    pub(super) operations_per_second: f64,
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) server_cpu: Option<f64>,
}

/// A comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) workload: &'static str,
    pub(super) servers: Vec<Row>,
}

/// A server in a comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) compared: Compared,
    pub(super) median: Medians,
    pub(super) ratio: Ratios,
}

impl Compared {
    fn medians(&self) -> Medians {
        let latency = |part: fn(&Latency) -> f64| {
            median(self.rounds.iter().filter_map(|round| round.latency_ms.as_ref().map(part)).collect())
        };
        let latencies = latency(|latency| latency.p50).map(|p50| Latency {
            p50,
            p90: latency(|latency| latency.p90).unwrap_or_default(),
            p99: latency(|latency| latency.p99).unwrap_or_default(),
            p999: latency(|latency| latency.p999).unwrap_or_default(),
            p9999: latency(|latency| latency.p9999).unwrap_or_default(),
            max: latency(|latency| latency.max).unwrap_or_default(),
        });
        Medians {
            operations_per_second: median(
                self.rounds.iter().map(|round| round.operations_per_second).collect(),
            )
            .unwrap_or_default(),
            latency_ms: latencies,
            server_cpu_micros: median(
                self.rounds.iter().filter_map(|round| round.server_cpu_micros).collect(),
            ),
        }
    }
}

impl Comparison {
    /// Compares servers with the last of them.
    pub(super) fn of(workload: &Workload, compared: Vec<Compared>) -> Comparison {
        let medians: Vec<Medians> = compared.iter().map(Compared::medians).collect();
        let base = medians.last().copied();
        let ratio = |own: Option<f64>, base: Option<f64>| own.zip(base).map(|(own, base)| own / base);
        let servers = compared.into_iter().zip(medians).map(|(compared, median)| {
            let base = base.unwrap_or(median);
            let (latency, base_latency) = (median.latency_ms, base.latency_ms);
            let ratio = Ratios {
                operations_per_second: median.operations_per_second / base.operations_per_second,
                p50: ratio(latency.map(|latency| latency.p50), base_latency.map(|latency| latency.p50)),
                p99: ratio(latency.map(|latency| latency.p99), base_latency.map(|latency| latency.p99)),
                server_cpu: ratio(median.server_cpu_micros, base.server_cpu_micros),
            };
            Row { compared, median, ratio }
        });
        Comparison { workload: workload.name, servers: servers.collect() }
    }

    /// Whether any round had errors.
    pub(super) fn has_errors(&self) -> bool {
        self.servers.iter().flat_map(|row| &row.compared.rounds).any(|round| round.errors > 0)
    }

    /// The table.
    pub(super) fn table(&self, workload: &Workload) -> String {
        let (one, many) = workload.unit;
        let head = [
            "server".to_owned(),
            format!("{many}/s"),
            "ratio".to_owned(),
            "p50 ms".to_owned(),
            "p99 ms".to_owned(),
            "p99.9 ms".to_owned(),
            "ratio of p99".to_owned(),
            format!("CPU µs/{one}"),
            "ratio".to_owned(),
        ];
        let shown = |number: Option<f64>, digits: usize| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
        };
        let mut lines = vec![head];
        for row in &self.servers {
            let (median, ratio, latency) = (&row.median, &row.ratio, row.median.latency_ms);
            lines.push([
                row.compared.name.clone(),
                grouped(median.operations_per_second.round() as u64),
                shown(Some(ratio.operations_per_second), 2),
                shown(latency.map(|latency| latency.p50), 3),
                shown(latency.map(|latency| latency.p99), 3),
                shown(latency.map(|latency| latency.p999), 3),
                shown(ratio.p99, 2),
                shown(median.server_cpu_micros, 3),
                shown(ratio.server_cpu, 2),
            ]);
        }
        let mut table = String::new();
        for (index, cells) in lines.iter().enumerate() {
            // A string takes everything.
            let _ = writeln!(table, "| {} |", cells.join(" | "));
            if index == 0 {
                let _ = writeln!(table, "|{}", "---|".repeat(cells.len()));
            }
        }
        for row in &self.servers {
            if let Some(words) = row.compared.words {
                let _ = writeln!(table, "{} is asked with {words}.", row.compared.name);
            }
            let rounds = &row.compared.rounds;
            if let Some(error) = rounds.iter().find_map(|round| round.first_error.as_ref()) {
                let errors = rounds.iter().map(|round| round.errors).sum();
                let _ = writeln!(
                    table,
                    "{} has answered {} errors, the first: {error}",
                    row.compared.name,
                    grouped(errors)
                );
            }
        }
        table
    }
}

/// The middle value.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let high = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { high } else { (values[middle - 1] + high) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_two_if_there_are_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
