//! The live figures of the server itself: the process, its connections and its journal.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value, json};

use crate::client::Door;
use crate::command::Services;
use crate::metrics::process::Process;
use crate::version;

pub(super) fn figures(services: &Services) -> Value {
    let (process, totals, clients) = (Process::now(), services.metrics.totals(), &services.clients);
    let requests = &services.metrics.requests;
    let by_door = Door::ALL.iter().map(|&door| (door.name().to_owned(), json!(clients.len(door))));
    let http = ("http".to_owned(), json!(requests.connections.load(Relaxed)));
    let mut journal_failure = None;
    services.each_journal(|_, status| journal_failure = status.failure.or_else(|| journal_failure.take()));
    json!({
        "version": version::VERSION,
        "uptime_ms": services.clock.now().micros().saturating_sub(services.started.micros()) / 1000,
        "resident_bytes": process.resident_bytes,
        "cpu_seconds": process.user_seconds + process.system_seconds,
        "connections": by_door.chain([http]).collect::<Map<_, _>>(),
        "blocked": clients.blocked(),
        "commands": totals.commands,
        "bytes_in": totals.bytes_in,
        "bytes_out": totals.bytes_out,
        "wrong_passwords": services.attempts.failures(),
        "journal_failure": journal_failure,
    })
}
