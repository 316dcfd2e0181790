//! Scripts: what they may not do to others, what they leave behind, and their libraries against those of Redis.

mod advisories;
mod answers;
mod budgets;
mod busy;
mod calls;
mod deep;
mod functions;
mod fuzzing;
mod isolation;
mod libraries;
mod publishing;
mod restarts;

use crate::support::client::{Client, text};
use crate::support::process::Server;

/// A client of a server of its own.
struct Scripts {
    client: Client,
    server: Server,
}

impl Scripts {
    fn start(arguments: &[&str]) -> Scripts {
        let server = Server::quartet(arguments);
        Scripts { client: Client::connect(server.address()), server }
    }

    /// The reply to a script without keys, as text.
    fn eval(&mut self, script: &str) -> String {
        self.eval_with(script, &[], &[])
    }

    /// The reply to a script, as text.
    fn eval_with(&mut self, script: &str, keys: &[&str], arguments: &[&str]) -> String {
        let count = keys.len().to_string();
        let words: Vec<&str> =
            ["EVAL", script, &count].iter().chain(keys).chain(arguments).copied().collect();
        text(&self.client.call(&words))
    }
}
