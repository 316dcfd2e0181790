//! What can be chosen on the command line: one row for each option, from which the parser, the help and docs/bench.md follow.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::keys::{Keys, Zipf};
use super::template::{Size, Style};

/// The most connections of a run.
pub(super) const CONNECTIONS_MAX: u64 = 20_000;

/// The most threads of a run.
pub(super) const THREADS_MAX: u64 = 64;

/// The most requests on their way over a connection, and of all connections together.
pub(super) const PIPELINE_MAX: u64 = 10_000;
pub(super) const CLIENTS_MAX: u64 = 999_999;

/// The most operations of a run bounded by their count.
pub(super) const COUNT_MAX: u64 = 10_000_000_000;

/// The longest run, and the longest wait for a server, in seconds.
pub(super) const SECONDS_MAX: f64 = 86_400.0;

/// The most operations a second that a schedule can have.
pub(super) const RATE_MAX: f64 = 100_000_000.0;

/// The most keys.
pub(super) const KEYS_MAX: u64 = 1_000_000_000;

/// The longest value in bytes.
pub(super) const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// The longest pause and wait within an operation, in milliseconds.
pub(super) const MILLIS_MAX: u64 = 3_600_000;

/// The most subjects.
pub(super) const SUBJECTS_MAX: u64 = 100_000_000;

/// The most rounds of a comparison.
pub(super) const ROUNDS_MAX: u64 = 1_000;

/// An option.
#[derive(Debug)]
pub(super) struct OptionRow {
    /// Its name, without the dashes.
    pub(super) name: &'static str,
    /// What its value is called; empty if it has none.
    pub(super) value: &'static str,
    /// Its value if it is not given, unless a workload has another one.
    pub(super) default: &'static str,
    /// What it is for.
    pub(super) purpose: &'static str,
    /// Whether every workload has it.
    pub(super) is_common: bool,
}

const fn common(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    purpose: &'static str,
) -> OptionRow {
    OptionRow { name, value, default, purpose, is_common: true }
}

const fn own(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    purpose: &'static str,
) -> OptionRow {
    OptionRow { name, value, default, purpose, is_common: false }
}

/// All options.
pub(super) const OPTIONS: &[OptionRow] = &[
    common(
        "server",
        "host:port",
        "",
        "The server to drive; 127.0.0.1 with the usual port of the protocol if it is not given",
    ),
    common(
        "compare",
        "a,b",
        "",
        "Drives several servers in turns, and compares their medians with those of the last one; each is host:port or name=host:port",
    ),
    common("rounds", "count", "5", "How often each server has its turn in a comparison"),
    common(
        "time",
        "seconds",
        "",
        "How long a run lasts: 10 seconds if neither --time nor --count is given, 2 for each turn of a comparison",
    ),
    common("count", "count", "", "How many operations a run has, in place of --time"),
    common(
        "rate",
        "per second",
        "",
        "Begins so many operations a second whether or not the server keeps up (open loop), and counts each latency from when its operation was meant to begin; without it each client begins the next as soon as the last is done (closed loop)",
    ),
    common("threads", "count", "1", "Threads of this program, which share the connections"),
    common(
        "timeout",
        "seconds",
        "10",
        "How long the server may say nothing while something is unanswered, before the run ends with an error",
    ),
    common("user", "name", "", "The user to come in as"),
    common(
        "password",
        "text",
        "",
        "The password; the environment variable REDISCLI_AUTH, if it is set and this is not given",
    ),
    common(
        "seed",
        "number",
        "1",
        "Where the random numbers begin: runs with the same seed use the same keys",
    ),
    common("json", "", "", "Prints the figures as JSON"),
    common("progress", "", "", "Prints a line each second on standard error even if that is no terminal"),
    own("connections", "count", "50", "Connections to the server"),
    own("pipeline", "count", "1", "Requests on their way over each connection"),
    own("keys", "count", "100000", "How many different keys there are"),
    own("distribution", "name", "uniform", "How often each key is used: uniform, zipf or sequential"),
    own(
        "exponent",
        "number",
        "0.99",
        "The exponent of zipf: the key of rank k is used in proportion to 1 / k^exponent",
    ),
    own("prefix", "text", "bench:", "What each key begins with; twelve digits follow"),
    own(
        "size",
        "bytes",
        "64",
        "How long each value or message is; a range such as 16-1024 for lengths that are all as likely",
    ),
    own("reads", "percent", "90", "How many of a hundred requests are GET; the others are SET"),
    own("no-fill", "", "", "Does not set all keys before the run"),
    own("hold", "ms", "0", "How long each lock is held"),
    own(
        "wait",
        "ms",
        "0",
        "How long an acquisition waits for its turn; without it a lock that is held is refused",
    ),
    own("policy", "name", "", "Asks this policy with RL.CHECK, in place of a limit of CL.THROTTLE"),
    own("publishers", "count", "1", "Connections that publish, each on a subject of its own"),
    own("subscribers", "count", "1", "Connections that subscribe to the subject of each publisher"),
    own("consumers", "count", "1", "Connections that read, each with a consumer of its own"),
    own("push", "", "", "Has the server push messages to consumers, in place of asking for each batch"),
    own("batch", "count", "500", "Messages that a consumer asks for at a time"),
    own("acknowledge", "", "", "Acknowledges each message"),
    own("memory", "", "", "Keeps the stream in memory"),
    own(
        "async",
        "",
        "",
        "Makes a stream that acknowledges messages before they are synced (its `persist_mode`)",
    ),
    own(
        "subjects",
        "count",
        "",
        "So many subjects have turns; without it each connection has one, or all have that of --subject",
    ),
    own(
        "message-ids",
        "",
        "",
        "Gives each message an id by which a stream knows what it has already (`Nats-Msg-Id`)",
    ),
    own(
        "subject",
        "text",
        "",
        "Stores at this subject, of a stream that is there and stays; with --subjects at this subject, a dot and a number",
    ),
    own(
        "stream",
        "name",
        "",
        "Reads this stream, which is there and stays: all of it, or as many messages as --count says",
    ),
    own("keep", "", "", "Leaves the stream `quartet-bench` behind, in place of deleting it"),
];

/// The row of an option.
pub(super) fn row(name: &str) -> Option<&'static OptionRow> {
    OPTIONS.iter().find(|row| row.name == name)
}

/// The chosen values.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// The options that the command line gives.
    given: HashMap<&'static str, String>,
    /// Where the workload has defaults of its own.
    defaults: &'static [(&'static str, &'static str)],
    /// The words behind the name of the workload.
    pub(super) words: Vec<String>,
}

impl Options {
    /// Values that were given, over the defaults of a workload.
    pub(super) fn new(
        given: HashMap<&'static str, String>,
        defaults: &'static [(&'static str, &'static str)],
        words: Vec<String>,
    ) -> Options {
        Options { given, defaults, words }
    }

    /// Whether an option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value as it was typed, or else the default.
    pub(super) fn text(&self, name: &str) -> &str {
        if let Some(value) = self.given.get(name) {
            return value;
        }
        let own = self.defaults.iter().find(|(option, _)| *option == name);
        own.map(|(_, default)| *default).or_else(|| row(name).map(|row| row.default)).unwrap_or_default()
    }

    /// A whole number.
    ///
    /// # Errors
    /// If it is none, or out of range.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
        let text = self.text(name);
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            format!("--{name} must be a whole number from {} to {}, not '{text}'", range.start(), range.end())
        })
    }

    /// A count of things in memory.
    ///
    /// # Errors
    /// As for [`Options::number`].
    pub(super) fn count(&self, name: &str, range: RangeInclusive<u64>) -> Result<usize, String> {
        self.number(name, range).map(|number| number as usize)
    }

    /// A positive number, perhaps with a fraction.
    ///
    /// # Errors
    /// If it is none, or too large.
    pub(super) fn fraction(&self, name: &str, most: f64) -> Result<f64, String> {
        let text = self.text(name);
        let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= most);
        number.ok_or_else(|| format!("--{name} must be a number above 0 and up to {most}, not '{text}'"))
    }

    /// The keys.
    ///
    /// # Errors
    /// If they are none.
    pub(super) fn keys(&self) -> Result<Keys, String> {
        let count = self.number("keys", 1..=KEYS_MAX)?;
        match self.text("distribution") {
            "uniform" => Ok(Keys::Uniform { count }),
            "zipf" => Ok(Keys::Zipf(Zipf::new(count, self.fraction("exponent", 10.0)?))),
            "sequential" => Ok(Keys::Sequential { next: 0, step: 1, count }),
            other => Err(format!("--distribution must be uniform, zipf or sequential, not '{other}'")),
        }
    }

    /// What the requests have in common.
    ///
    /// # Errors
    /// If the size is none.
    pub(super) fn style(&self) -> Result<Style, String> {
        Ok(Style { prefix: self.text("prefix").to_owned(), size: self.size()? })
    }

    /// How long values are.
    ///
    /// # Errors
    /// If it is no length.
    pub(super) fn size(&self) -> Result<Size, String> {
        let text = self.text("size");
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let size = least.parse().ok().zip(most.parse().ok()).map(|(least, most)| Size { least, most });
        size.filter(|size| size.least <= size.most && size.most as u64 <= SIZE_MAX).ok_or_else(|| {
            format!(
                "--size must be a number of bytes up to {SIZE_MAX}, or a range such as 16-1024, not '{text}'"
            )
        })
    }

    /// Connections, and requests on each.
    ///
    /// # Errors
    /// If these are too many.
    pub(super) fn crowd(&self) -> Result<(usize, usize), String> {
        let connections = self.number("connections", 1..=CONNECTIONS_MAX)?;
        let pipeline = self.number("pipeline", 1..=PIPELINE_MAX)?;
        if connections * pipeline > CLIENTS_MAX {
            return Err(format!("--connections times --pipeline must be at most {CLIENTS_MAX}"));
        }
        Ok((connections as usize, pipeline as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&'static str, &str)]) -> Options {
        let given = given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Options::new(given, &[("size", "16")], Vec::new())
    }

    #[test]
    fn values_have_defaults_and_limits() {
        let size = |text: &str| options(&[("size", text)]).size();
        assert_eq!(options(&[]).size(), Ok(Size { least: 16, most: 16 }));
        assert_eq!(options(&[]).crowd(), Ok((50, 1)));
        assert_eq!(size("1-9"), Ok(Size { least: 1, most: 9 }));
        assert_eq!(size(&SIZE_MAX.to_string()).map(|size| size.most as u64), Ok(SIZE_MAX));
        for wrong in ["9-1", "x", "", "-1", &(SIZE_MAX + 1).to_string()] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let crowd = |connections: u64, pipeline: u64| {
            options(&[("connections", &connections.to_string()), ("pipeline", &pipeline.to_string())]).crowd()
        };
        assert!(crowd(CONNECTIONS_MAX, 1).is_ok() && crowd(1, PIPELINE_MAX).is_ok());
        assert!(
            crowd(CONNECTIONS_MAX + 1, 1).is_err()
                && crowd(1, PIPELINE_MAX + 1).is_err()
                && crowd(0, 1).is_err()
        );
        assert!(crowd(99, PIPELINE_MAX).is_ok() && crowd(100, PIPELINE_MAX).is_err());
        let error = options(&[("rate", "-3")]).fraction("rate", RATE_MAX).expect_err("it is negative");
        assert_eq!(error, "--rate must be a number above 0 and up to 100000000, not '-3'");
        assert!(options(&[("distribution", "zip")]).keys().is_err());
    }

    #[test]
    fn no_option_is_there_twice() {
        for (index, row) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
