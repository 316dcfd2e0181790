//! Programs that others wrote for any HTTP service: they are run where they are found.

mod browser;
mod contract;
mod prometheus;

use crate::support::process::Server;

fn server() -> Server {
    Server::quartet(&["--http-port", "0"])
}

/// The address of something on the server's HTTP door.
fn address(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.http_address())
}
