//! The workloads: one row for each, from which the command line, its help and docs/bench.md follow.

mod asking;
mod cache;
mod exchanges;
mod fan_out;
mod http;
mod limits;
mod locks;
mod replay;
mod stream;

use super::options::Options;
use super::plan::Plan;
use super::target::{Protocol, Target};

/// Makes a plan of what was chosen, for a server.
type MakePlan = fn(&Options, &Target) -> Result<Box<dyn Plan>, String>;

/// A kind of load.
pub(super) struct Workload {
    /// The word on the command line.
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    /// What it does, as a sentence without its subject.
    pub(super) purpose: &'static str,
    /// What is counted: an operation, and several.
    pub(super) unit: (&'static str, &'static str),
    /// From where to where latency is measured.
    pub(super) latency: &'static str,
    /// The options beside the common ones, in groups that several workloads have.
    pub(super) options: &'static [&'static [&'static str]],
    /// Those of them whose default is another than usual.
    pub(super) defaults: &'static [(&'static str, &'static str)],
    /// What the words behind the name are; empty if there are none.
    pub(super) words: &'static str,
    /// Plans it for a server.
    pub(super) plan: MakePlan,
}

impl Workload {
    /// The options beside the common ones.
    pub(super) fn own_options(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().copied().flatten().copied()
    }
}

/// How many clients there are.
const CROWD: &[&str] = &["connections", "pipeline"];

/// Which keys their requests name.
const KEYS: &[&str] = &["keys", "distribution", "exponent", "prefix"];

/// How long what they write is.
const SIZE: &[&str] = &["size"];

/// How long locks are held and waited for.
const HOLDING: &[&str] = &["hold", "wait"];

const REQUEST: (&str, &str) = ("request", "requests");

/// From sending a request to its answer.
const ANSWER: &str = "from the request to its answer";

/// All workloads.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "get",
        protocol: Protocol::Resp,
        purpose: "reads keys with GET, after setting them all",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE, &["no-fill"]],
        defaults: &[],
        words: "",
        plan: cache::get,
    },
    Workload {
        name: "set",
        protocol: Protocol::Resp,
        purpose: "writes keys with SET",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE],
        defaults: &[],
        words: "",
        plan: cache::set,
    },
    Workload {
        name: "mix",
        protocol: Protocol::Resp,
        purpose: "reads and writes keys with GET and SET, after setting them all",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE, &["reads", "no-fill"]],
        defaults: &[("distribution", "zipf")],
        words: "",
        plan: cache::mix,
    },
    Workload {
        name: "command",
        protocol: Protocol::Resp,
        purpose: "sends any command, in which `__key__`, `__data__` and `__client__` are places",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE],
        defaults: &[],
        words: "the command",
        plan: cache::command,
    },
    Workload {
        name: "lock",
        protocol: Protocol::Resp,
        purpose: "acquires a lock, holds and releases it",
        unit: ("pair", "pairs"),
        latency: "from the acquisition to its answer",
        options: &[CROWD, KEYS, HOLDING],
        defaults: &[("prefix", "bench:lock:")],
        words: "",
        plan: locks::lock,
    },
    Workload {
        name: "limit",
        protocol: Protocol::Resp,
        purpose: "checks a rate limit for each key",
        unit: ("check", "checks"),
        latency: ANSWER,
        options: &[CROWD, KEYS, &["policy"]],
        defaults: &[("prefix", "bench:limit:")],
        words: "",
        plan: limits::limit,
    },
    Workload {
        name: "http-get",
        protocol: Protocol::Http,
        purpose: "reads keys with `GET /cache/{key}`, after setting them all",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE, &["no-fill"]],
        defaults: &[("keys", "10000")],
        words: "",
        plan: http::get,
    },
    Workload {
        name: "http-set",
        protocol: Protocol::Http,
        purpose: "writes keys with `PUT /cache/{key}`",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE],
        defaults: &[("keys", "10000")],
        words: "",
        plan: http::set,
    },
    Workload {
        name: "http-lock",
        protocol: Protocol::Http,
        purpose: "acquires a lock with `POST /lock`, holds it, and releases it with `DELETE /lock/{lock_id}`",
        unit: ("pair", "pairs"),
        latency: "from the acquisition to its answer",
        options: &[CROWD, KEYS, HOLDING],
        defaults: &[("keys", "10000"), ("prefix", "bench:lock:")],
        words: "",
        plan: locks::http_lock,
    },
    Workload {
        name: "http-check",
        protocol: Protocol::Http,
        purpose: "checks a rate limit with `GET /check`, for the user in `X-User-ID`",
        unit: ("check", "checks"),
        latency: ANSWER,
        options: &[CROWD, KEYS, &["policy"]],
        defaults: &[("keys", "10000"), ("prefix", "bench:limit:")],
        words: "",
        plan: limits::http_check,
    },
    Workload {
        name: "http",
        protocol: Protocol::Http,
        purpose: "sends any request, in which `__key__`, `__data__` and `__client__` are places",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, KEYS, SIZE],
        defaults: &[("keys", "10000")],
        words: "[method] path [body]",
        plan: http::any,
    },
    Workload {
        name: "fan-out",
        protocol: Protocol::Nats,
        purpose: "publishes messages, each of which all subscribers of its publisher get",
        unit: ("delivery", "deliveries"),
        latency: "from publishing to each delivery",
        options: &[&["publishers", "subscribers"], SIZE, &["pipeline"]],
        defaults: &[("size", "16"), ("pipeline", "1000")],
        words: "",
        plan: fan_out::plan,
    },
    Workload {
        name: "request",
        protocol: Protocol::Nats,
        purpose: "sends requests that another client answers",
        unit: REQUEST,
        latency: ANSWER,
        options: &[CROWD, SIZE],
        defaults: &[("connections", "1"), ("size", "16")],
        words: "",
        plan: asking::request,
    },
    Workload {
        name: "store",
        protocol: Protocol::Nats,
        purpose: "publishes messages into a durable stream, which acknowledges each",
        unit: ("message", "messages"),
        latency: "from publishing to the acknowledgement",
        options: &[CROWD, SIZE, &["subjects", "message-ids", "memory", "async", "subject", "keep"]],
        defaults: &[("connections", "4"), ("pipeline", "64"), ("size", "128")],
        words: "",
        plan: asking::store,
    },
    Workload {
        name: "replay",
        protocol: Protocol::Nats,
        purpose: "fills a durable stream with `--count` messages, or takes one that is there; each consumer then reads them all",
        unit: ("message", "messages"),
        latency: "",
        options: &[&["consumers"], SIZE, &["batch", "acknowledge", "push", "stream", "keep"]],
        defaults: &[("size", "128")],
        words: "",
        plan: replay::plan,
    },
];

/// The row of a workload.
pub(super) fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::options::row;
    use super::*;

    #[test]
    fn rows_name_options_that_there_are() {
        for workload in WORKLOADS {
            for option in workload.own_options() {
                let row = row(option).unwrap_or_else(|| panic!("{}: --{option}", workload.name));
                assert!(!row.is_common, "{}: --{option}", workload.name);
            }
            for (option, _) in workload.defaults {
                assert!(workload.own_options().any(|own| own == *option), "{}: --{option}", workload.name);
            }
        }
    }
}
