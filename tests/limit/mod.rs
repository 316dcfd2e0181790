//! The rate limiter as programs and proxies meet it.

mod clients;
mod commands;
mod durability;
mod exactness;
mod invented_keys;
mod killed;
mod lists;
mod nginx;
mod pipelines;
mod policy_file;
mod reservations;
mod rest;
mod slots;
mod waiting;

use crate::support::http::{Ask, Http, Response};
use crate::support::process::Server;

/// A server with its HTTP door open.
fn server() -> Server {
    Server::quartet(&["--http-port", "0"])
}

fn connect(server: &Server) -> Http {
    Http::connect(server.http_address())
}

/// Makes a policy.
fn put_policy(http: &mut impl Ask, name: &str, definition: &str) {
    let response = http.ask("PUT", &format!("/policies/{name}"), &[], definition.as_bytes());
    assert_eq!(response.status, 204, "{response:?}");
}

/// Checks a limit for a user.
fn check(http: &mut impl Ask, query: &str, user: &str) -> Response {
    http.ask("GET", &format!("/check{query}"), &[("X-User-ID", user)], b"")
}
