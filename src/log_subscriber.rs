//! The subscriber that makes log lines of events: text for people or JSON for programs, on standard error.
//!
//! A line that an HTTP request has caused carries the request's id.  A panic becomes a line too, since the standard
//! library's own message would wait for the reader.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

use crate::http::request_id;
use crate::log_queue::LogQueue;
use crate::settings::{LogFormat, LogLevel, Settings};

/// How long the process waits, before it ends, for its log to be written.
pub const FLUSH_TIME_MAX: Duration = Duration::from_millis(500);

/// Starts logging to `log`, as `log-level` and `log-format` say.  Called once, before anything is logged.
///
/// # Errors
/// If there is a subscriber already.
pub fn start(settings: &Settings, log: &Arc<LogQueue>) -> Result<(), SetGlobalDefaultError> {
    let (filter, handle) = reload::Layer::<_, Registry>::new(level(settings.log_level));
    let outlet = Arc::clone(log);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(move || Outlet(Arc::clone(&outlet)));
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Text => {
            let lines = lines.map_event_format(|lines| Lines { lines, add: add_to_text });
            tracing::subscriber::set_global_default(registry.with(lines))?;
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let lines = lines.map_event_format(|lines| Lines { lines, add: add_to_json });
            tracing::subscriber::set_global_default(registry.with(lines))?;
        }
    }
    log.on_level(move |changed| {
        // The filter lives as long as the process.
        let _ = handle.reload(level(changed));
    });
    let log = Arc::clone(log);
    panic::set_hook(Box::new(move |panic| report(panic, &log)));
    Ok(())
}

/// The queue, for a formatter that writes a whole line at a time.
struct Outlet(Arc<LogQueue>);

impl io::Write for Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs a panic, and waits until the line is written, since the process may be about to end.
fn report(panic: &PanicHookInfo<'_>, log: &LogQueue) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason = panic.payload_as_str().unwrap_or("it gave no reason");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        thread = thread.name(),
        location,
        reason,
        backtrace,
        "a bug in the server: a thread panicked"
    );
    log.flush(FLUSH_TIME_MAX);
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

/// Adds to lines the id of the request that caused them.
struct Lines<F> {
    lines: F,
    /// Writes a line with the id.
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

/// An id has no character that JSON escapes.
fn add_to_json(mut writer: Writer<'_>, line: &str, id: &request_id::RequestId) -> fmt::Result {
    let fields = line.strip_suffix('}').unwrap_or(line);
    writeln!(writer, "{fields},\"request_id\":\"{id}\"}}")
}
