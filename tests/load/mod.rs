//! `quartet bench` against Quartet, against its peers, and against servers that do not do their part.

mod broken;
mod peers;
mod workloads;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::broker::BrokerClient;

/// Runs `quartet bench` with the words of `line`, of which the first is the workload.
fn perform(line: &str, server: SocketAddr) -> Result<(String, bool), String> {
    let (workload, rest) = line.split_once(' ').unwrap_or((line, ""));
    let line = format!("{workload} --server {server} {rest}");
    quartet::load::perform(line.split_whitespace().map(Into::into))
}

/// The figures of a run without errors.
#[track_caller]
fn figures(line: &str, server: SocketAddr) -> Value {
    let (workload, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (text, is_clean) = perform(&format!("{workload} --json {rest}"), server)
        .unwrap_or_else(|reason| panic!("{line}: {reason}"));
    assert!(is_clean, "{line}: {text}");
    let report: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(report["workload"], workload);
    report["figures"].clone()
}

/// Looks that a run does so many operations, all of them timed.
#[track_caller]
fn check_count(line: &str, server: SocketAddr, operations: u64) -> Value {
    let figures = figures(line, server);
    assert_eq!(figures["operations"], operations, "{line}: {figures}");
    assert_eq!((&figures["errors"], &figures["missed"]), (&0.into(), &0.into()), "{line}: {figures}");
    assert!(figures["operations_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{line}: {figures}");
    figures
}

/// Looks that a run fails for this reason.
#[track_caller]
fn check_refused(line: &str, server: SocketAddr, reason: &str) {
    match perform(line, server) {
        Err(found) => assert_eq!(found.replace(&server.to_string(), "SERVER"), reason, "{line}"),
        Ok((text, _)) => panic!("{line} fails, but it printed {text}"),
    }
}

/// What the API of streams answers.
#[track_caller]
fn ask_api(broker: SocketAddr, subject: &str, body: &str) -> Value {
    let mut client = BrokerClient::quiet(broker);
    client.write("SUB answer 1\r\n");
    client.write(format!("PUB $JS.API.{subject} answer {}\r\n{body}\r\n", body.len()));
    let answer: Value = serde_json::from_slice(&client.delivered().payload).expect("it is JSON");
    assert!(answer["error"].is_null(), "{subject}: {answer}");
    answer
}

/// The state and the definition of a stream.
#[track_caller]
fn stream_info(broker: SocketAddr, stream: &str, body: &str) -> Value {
    ask_api(broker, &format!("STREAM.INFO.{stream}"), body)
}
