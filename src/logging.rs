//! The log: lines on standard error, as text for people or JSON for programs.  A line that an HTTP request has caused
//! carries the request's id.

use std::fmt;
use std::io;

use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::http::request_id;
use crate::settings::{LogFormat, LogLevel, Settings};

/// Begins to log as `log-level` and `log-format` say.  Called once, before anything is logged.
///
/// # Errors
/// If something logs already.
pub fn start(settings: &Settings) -> Result<(), SetGlobalDefaultError> {
    let level = level(settings.log_level);
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(io::stderr);
    match settings.log_format {
        LogFormat::Text => {
            let lines = lines.with_ansi(false).map_event_format(|lines| Lines { lines, add: add_to_text });
            tracing::subscriber::set_global_default(lines.finish())
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let lines = lines.map_event_format(|lines| Lines { lines, add: add_to_json });
            tracing::subscriber::set_global_default(lines.finish())
        }
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

/// Lines with the id of the request that caused them, if one did.
struct Lines<F> {
    lines: F,
    /// Adds the id to a line that has none.
    add: fn(Writer<'_>, &str, &request_id::RequestId) -> fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(id) = request_id::current() else { return self.lines.format_event(context, writer, event) };
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        (self.add)(writer, line.trim_end(), &id)
    }
}

fn add_to_text(mut writer: Writer<'_>, line: &str, id: &request_id::RequestId) -> fmt::Result {
    writeln!(writer, "{line} request_id={id}")
}

/// An id has no character that JSON would have to escape.
fn add_to_json(mut writer: Writer<'_>, line: &str, id: &request_id::RequestId) -> fmt::Result {
    let fields = line.strip_suffix('}').unwrap_or(line);
    writeln!(writer, "{fields},\"request_id\":\"{id}\"}}")
}
