//! The log: lines on standard error, as text for people or JSON for programs.

use std::io;

use tracing::Level;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::fmt;

use crate::settings::{LogFormat, LogLevel, Settings};

/// Begins to log as `log-level` and `log-format` say.  Called once, before anything is logged.
///
/// # Errors
/// If something logs already.
pub fn start(settings: &Settings) -> Result<(), SetGlobalDefaultError> {
    let lines = fmt().with_max_level(level(settings.log_level)).with_target(false).with_writer(io::stderr);
    match settings.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.with_ansi(false).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    }
}
