//! The cache over HTTP, and beside it over RESP, which sees the same keys.

mod batches;
mod conditions;
mod counters;
mod forms;
mod keys;
mod lifetimes;
mod uses;
mod values;

use crate::support::http::Response;
use crate::support::in_process::{Http, InProcess, Resp};

/// A server in this process and a client of its HTTP door.
fn server() -> (InProcess, Http) {
    server_with(&[])
}

fn server_with(arguments: &[&str]) -> (InProcess, Http) {
    let server = InProcess::start(arguments);
    let http = server.http();
    (server, http)
}

fn resp(server: &InProcess) -> Resp {
    server.resp()
}

fn put(http: &mut Http, path: &str, json: &str) -> Response {
    http.ask("PUT", path, &[("Content-Type", "application/json")], json.as_bytes())
}

fn post(http: &mut Http, path: &str, json: &str) -> Response {
    http.ask("POST", path, &[("Content-Type", "application/json")], json.as_bytes())
}

/// Looks that a request was refused for the value of a field.
#[track_caller]
fn check_refused(response: &Response, field: &str) {
    assert_eq!((response.status, response.problem().as_str()), (400, "invalid-value"), "{response:?}");
    assert_eq!(response.json()["field"], field, "{response:?}");
    assert!(response.json()["allowed"].is_string(), "{response:?}");
}
