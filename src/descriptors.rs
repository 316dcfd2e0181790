//! Descriptors of open files: as many as the system allows, of which connections leave enough for the rest.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::Settings;

/// Descriptors that are not counted below: standard streams, files of the journal and its snapshots, segments of it and
/// files of streams that stay open because they were read, files that are read now and then, the runtimes of the main
/// thread and of the signals.
const RESERVED: usize = 32 + crate::journal::OPEN_SEGMENTS_MAX + crate::stream::OPEN_FILES_MAX;

/// Descriptors of a worker: its poll, its waker, its tick.
const RESERVED_PER_WORKER: usize = 3;

/// Descriptors of an HTTP thread: those of its runtime.
const RESERVED_PER_HTTP_THREAD: usize = 4;

/// Descriptors of a listener: itself, and a client that is turned away.
const RESERVED_PER_LISTENER: usize = 2;

/// Raises the limit on open files as far as the system allows, and lowers the limits on connections to what it leaves
/// beside the server's own files.  Returns how many connections fit.
///
/// # Errors
/// If there is no room for any client.
pub fn fit(settings: &mut Settings) -> Result<usize, String> {
    let limit = raise();
    let ports = settings.http_port.len() + settings.port.iter().count() + settings.broker_port.iter().count();
    let listeners = settings.bind.len() * ports;
    let reserved = RESERVED
        + RESERVED_PER_WORKER * settings.threads
        + RESERVED_PER_HTTP_THREAD * settings.http_threads
        + RESERVED_PER_LISTENER * listeners;
    let room = limit.saturating_sub(reserved);
    let asked = settings.clone();
    if !settings.fit_connections(room) {
        return Err(format!(
            "the limit of {limit} open files leaves no room for clients: {reserved} are needed for the server itself; \
             raise it (ulimit -n), or use fewer --threads or listeners"
        ));
    }
    if *settings != asked {
        tracing::warn!(
            limit,
            reserved,
            maxclients = settings.maxclients,
            broker_connection_limit = settings.broker_connection_limit,
            http_connection_limit = settings.http_connection_limit,
            "maxclients, broker-connection-limit and http-connection-limit are lowered to what the limit on open files \
             allows: for more, raise it (ulimit -n)"
        );
    }
    Ok(room)
}

/// Raises the soft limit to the hard one, and returns the limit that holds then.
pub fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files stays as it is");
            limit.current
        }
    };
    current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}
