//! Where settings come from, how a source gives one, and why a start stops.

use std::ffi::OsString;
use std::fmt;

use super::table::Setting;

/// Longer values are cut where a line quotes them.
const QUOTED_LENGTH_MAX: usize = 200;

/// Why the server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` was asked for; this is it.
    Help(String),
    /// `--version` was asked for; this is it.
    Version(String),
    /// A source is not valid; the line says where, and what is valid.
    Invalid(String),
}

/// A setting in a source, as text.
pub(super) struct Given {
    /// Which source it is.
    pub(super) source: Source,
    /// Which setting.
    pub(super) row: &'static Setting,
    /// The value.
    pub(super) value: String,
}

/// Where a setting is given.
pub(super) enum Source {
    /// The command line as a whole.
    Arguments,
    /// The flag of this setting.
    Flag(&'static str),
    /// The environment variable with this name.
    Variable(String),
    /// A file, as a whole or a line of it.
    File { path: String, line: Option<usize> },
}

impl Source {
    /// Whether this source is named after the setting.
    pub(super) fn names_the_setting(&self) -> bool {
        matches!(self, Source::Flag(_) | Source::Variable(_))
    }

    /// An explanation for a value that no person wrote: Kubernetes, and links of Docker, describe a service named
    /// `quartet` in variables with our prefix.
    pub(super) fn hint(&self, value: &str) -> &'static str {
        let Source::Variable(name) = self else { return "" };
        let linked = ["QUARTET_SERVICE_", "QUARTET_PORT_"].iter().any(|prefix| name.starts_with(prefix));
        if !linked && !is_of_a_cluster(value) {
            return "";
        }
        " (Kubernetes makes such a variable for a service named quartet: set enableServiceLinks: false, or \
         rename the service)"
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Arguments => write!(formatter, "command line"),
            Source::Flag(name) => write!(formatter, "flag --{name}"),
            Source::Variable(name) => write!(formatter, "environment variable {}", name.escape_debug()),
            Source::File { path, line: None } => write!(formatter, "file {}", path.escape_debug()),
            Source::File { path, line: Some(line) } => {
                write!(formatter, "file {}, line {line}", path.escape_debug())
            }
        }
    }
}

/// Stops the start since a source is not valid.
pub(super) fn invalid(source: &Source, what: &str) -> Stop {
    Stop::Invalid(format!("{source}: {}", what.replace(['\r', '\n'], " ")))
}

/// A value that a line quotes.
pub(super) fn quoted(value: &str) -> String {
    let cut: String = value.chars().take(QUOTED_LENGTH_MAX).collect();
    let dots = if cut.len() < value.len() { "..." } else { "" };
    format!("'{}'{dots}", cut.escape_debug())
}

/// The value of a source as text.
pub(super) fn text(source: &Source, value: OsString) -> Result<String, Stop> {
    value.into_string().map_err(|_| invalid(source, "the value is not UTF-8 text"))
}

/// Whether a value is an address as clusters and links between containers set it.
pub(super) fn is_of_a_cluster(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}
