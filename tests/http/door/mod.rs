//! The door itself, for every request.

mod access;
mod bodies;
mod connections;
mod flight;
mod http2;
mod names;
mod pages;
mod stopping;
mod tickets;

use crate::support::http::Http;
use crate::support::process::Server;

/// A server with its HTTP door open, unless `arguments` say otherwise.
fn server(arguments: &[&str]) -> Server {
    let defaults: &[&str] = if arguments.contains(&"--http-port") { &[] } else { &["--http-port", "0"] };
    Server::quartet(&[defaults, arguments].concat())
}

fn connect(server: &Server) -> Http {
    Http::connect(server.http_address())
}
