//! Real clients and tools, each in its own language with its default settings, against a server process.
//!
//! A client program makes its own checks.  A test here starts a server and the program, and checks its exit code and
//! its output.

use std::path::{Path, PathBuf};

mod broker;
mod cache_under_pressure;
mod clients;
mod console;
mod dumped_values;
mod frameworks;
mod helpers;
mod redis_benchmark;
pub(crate) mod redis_cli;
mod redis_cli_reports;
mod redis_rs;
mod scripts;
mod streams;
mod websocket;

/// Where the client program called `script` is.
fn program(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script)
}
