//! The text format of Prometheus: families of samples, each with a name, a kind and a help text.

use std::fmt::{Display, Write};

use super::Distribution;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets that histograms are shown with, in microseconds: each four times the one before.
const BUCKETS: [u64; 13] =
    [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/// The kind of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MetricKind {
    /// Numbers that only grow, and start again with the server.
    Counter,
    /// Numbers that rise and fall.
    Gauge,
    /// Counts of durations up to each of several limits.
    Histogram,
}

impl MetricKind {
    fn word(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// Names and values that distinguish the samples of a family.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

/// The text while it is written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// Begins a family of numbers that only grow.  The samples that follow belong to it.  Its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> &mut Exposition {
        self.family(name, MetricKind::Counter, help)
    }

    /// Begins a family of numbers that rise and fall.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> &mut Exposition {
        self.family(name, MetricKind::Gauge, help)
    }

    /// Begins a family of distributions of durations.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> &mut Exposition {
        self.family(name, MetricKind::Histogram, help)
    }

    fn family(&mut self, name: &'static str, kind: MetricKind, help: &str) -> &mut Exposition {
        debug_assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        debug_assert!(help.ends_with('.'), "{name}");
        self.family = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {}", kind.word()));
        self
    }

    /// Adds a sample without labels.
    pub fn value(&mut self, value: impl Display) {
        self.sample(&[], value);
    }

    /// Adds a sample for each value of the only label.
    pub fn values<V: Display>(&mut self, label: &str, values: impl IntoIterator<Item = (&'static str, V)>) {
        for (of, value) in values {
            self.sample(&[(label, of)], value);
        }
    }

    /// Adds a sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.labelled("", labels, None, value);
    }

    /// Adds a histogram of durations.  They are in seconds, as all times.
    pub fn durations(&mut self, labels: Labels<'_>, durations: &Distribution) {
        for (limit, count) in BUCKETS.iter().zip(durations.at_most(&BUCKETS)) {
            self.labelled("_bucket", labels, Some(&seconds(*limit)), count);
        }
        self.labelled("_bucket", labels, Some("+Inf"), durations.len());
        self.labelled("_sum", labels, None, seconds(durations.sum()));
        self.labelled("_count", labels, None, durations.len());
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }

    fn labelled(&mut self, suffix: &str, labels: Labels<'_>, limit: Option<&str>, value: impl Display) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(limit.map(|limit| ("le", limit)));
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }
}

/// Microseconds in seconds, without the error of a division by a power of ten.
pub fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    #[test]
    fn samples_and_histograms_are_written() {
        let mut text = Exposition::default();
        text.gauge("keys", "Keys there are.").value(7);
        text.sample(&[("database", "0"), ("name", "a\"b\\c\n")], 1.5);
        assert_eq!(
            text.into_text(),
            "# HELP keys Keys there are.\n# TYPE keys gauge\nkeys 7\nkeys{database=\"0\",name=\"a\\\"b\\\\c\\n\"} 1.5\n"
        );
        let histogram = Histogram::default();
        histogram.record(3);
        histogram.record(2_000_000_000);
        let mut durations = Distribution::default();
        durations.add(&histogram);
        let mut text = Exposition::default();
        text.histogram("time", "Times.");
        text.durations(&[("command", "get")], &durations);
        let text = text.into_text();
        for line in [
            "time_bucket{command=\"get\",le=\"0.000001\"} 0",
            "time_bucket{command=\"get\",le=\"0.000004\"} 1",
            "time_bucket{command=\"get\",le=\"16.777216\"} 1",
            "time_bucket{command=\"get\",le=\"+Inf\"} 2",
            "time_count{command=\"get\"} 2",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn micros_in_seconds() {
        let cases = [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (10_000_000, "10")];
        for (micros, expected) in cases {
            assert_eq!(seconds(micros), expected);
        }
    }
}
