//! The `quartet` program: settings in, exit code out.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use quartet::log_queue::LogQueue;
use quartet::log_subscriber;
use quartet::settings::{self, Stop};
use quartet::standard_output::print;
use quartet::subcommands;

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

fn main() -> ExitCode {
    // All output on standard error goes through the log's queue, so that no reader can hold the process up.
    let Ok(log) = LogQueue::start(io::stderr()) else { return ExitCode::FAILURE };
    let result = subcommands::run(std::env::args_os().skip(1)).unwrap_or_else(|| run(&log).map(|()| true));
    if let Err(reason) = &result {
        log.push(format!("quartet: {reason}\n").as_bytes());
    }
    log.flush(log_subscriber::FLUSH_TIME_MAX);
    if result == Ok(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(log: &Arc<LogQueue>) -> Result<(), String> {
    let loaded = match settings::of_process() {
        Ok(loaded) => loaded,
        Err(Stop::Help(text)) => return print(&(text + &subcommands::help())),
        Err(Stop::Version(text)) => return print(&text),
        Err(Stop::Invalid(reason)) => return Err(reason),
    };
    log_subscriber::start(&loaded.settings, log).map_err(|error| format!("cannot log: {error}"))?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    quartet::server::run(loaded.settings, Arc::clone(log))
}
