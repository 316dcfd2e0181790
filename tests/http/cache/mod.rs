//! The cache over HTTP, and beside it over RESP, which sees the same keys.

mod batches;
mod conditions;
mod counters;
mod forms;
mod keys;
mod lifetimes;
mod uses;
mod values;

use crate::support::client::Client;
use crate::support::http::{Http, Response};
use crate::support::process::Server;

/// A server and a connection to its HTTP door.
fn server() -> (Server, Http) {
    server_with(&[])
}

fn server_with(arguments: &[&str]) -> (Server, Http) {
    let server = Server::quartet(&[&["--http-port", "0"], arguments].concat());
    let http = Http::connect(server.http_address());
    (server, http)
}

fn resp(server: &Server) -> Client {
    Client::connect(server.address())
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
