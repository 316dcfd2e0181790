//! The `quartet` program: settings in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use quartet::logging;
use quartet::settings::{self, Stop};

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

fn main() -> ExitCode {
    let settings = match settings::load(std::env::args_os().skip(1), std::env::vars_os()) {
        Ok(settings) => settings,
        Err(Stop::Help(text) | Stop::Version(text)) => {
            // Whoever reads help through `head` closes the pipe early, which is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Invalid(reason)) => {
            eprintln!("quartet: {reason}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(reason) = logging::start(&settings) {
        eprintln!("quartet: cannot log: {reason}");
        return ExitCode::FAILURE;
    }
    match quartet::server::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("quartet: {reason}");
            ExitCode::FAILURE
        }
    }
}
