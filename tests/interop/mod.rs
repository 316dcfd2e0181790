//! Real clients and tools, each in its own language with its default settings, against a server process.
//!
//! What a client program checks is written in that program; a test here starts a server and the program, and looks
//! at how it ended and what it printed.

use std::path::{Path, PathBuf};

mod cache_under_pressure;
mod clients;
mod redis_benchmark;
mod redis_cli;
mod redis_cli_reports;
mod redis_rs;

/// Where the client program called `script` is.
fn program(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script)
}
