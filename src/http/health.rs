//! Health: whether the process runs, and whether it should be sent requests.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use super::access::Admitted;
use crate::command::Services;
use crate::data_directory;
use crate::http::endpoint::{Context, Json, OpenApiRouter, State, json_with_status, routes};
use crate::journal::keeper;
use crate::service::HealthCheck;

/// Free bytes that the disk must have for data to be written.
const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Whether the server works.
#[derive(Serialize, utoipa::ToSchema)]
struct Health {
    /// `up`, `draining` or `down`.
    status: &'static str,
    /// The state of every part of the server: `up`, or its fault.  Absent without the password.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<&'static str, String>,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Tells whether the process runs
///
/// Needs no password.  If there is no answer, restart the process.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "The process runs", body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: "up", parts: BTreeMap::new() })
}

/// Tells whether the server is ready for requests
///
/// Needs no password; without it, the response has the status only.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, description = "All parts are up", body = Health),
        (status = 503, description = "A part is down, or the server is stopping", body = Health)))]
async fn ready(State(context): State<Context>, admitted: Option<Extension<Admitted>>) -> Response {
    let services = context.services();
    let mut parts: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut status = "up";
    let checks = services.rows.iter().filter_map(|service| Some((service.name, service.health?)));
    for (name, check) in checks.chain([("disk", disk as HealthCheck)]) {
        let result = check(services);
        if result.is_err() {
            status = "down";
        }
        parts.insert(name, result.err().unwrap_or_else(|| "up".to_owned()));
    }
    if services.draining.load(Relaxed) {
        status = "draining";
    }
    if admitted.is_some_and(|Extension(admitted)| admitted == Admitted::ForStatus) {
        parts.clear();
    }
    let code = if status == "up" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_with_status(code, Health { status, parts })
}

/// Whether the data directory could be written to.
fn disk(services: &Services) -> Result<(), String> {
    let settings = services.settings.current();
    let Some(folder) = &settings.dir else { return Ok(()) };
    let journal = &services.journal;
    // In this order: they may be made just now.
    let had_begun = journal.is_made();
    let exists = folder.join(keeper::FOLDER).exists();
    let has_begun = journal.is_made() || journal.is_awaited();
    if had_begun && !exists {
        return Err(format!("{} is gone; what is kept now will not be found again", folder.display()));
    }
    let is_shared = !data_directory::is_named(&settings) && data_directory::is_wanted(&settings);
    if is_shared && exists && !has_begun {
        let folder = folder.display();
        return Err(format!(
            "another server uses {folder}: stop that one, or choose another directory with --dir"
        ));
    }
    // The directory is made when it is first needed; until then its parent tells.
    let existing =
        folder.ancestors().find(|folder| folder.exists()).filter(|folder| !folder.as_os_str().is_empty());
    let existing = existing.unwrap_or(Path::new("."));
    rustix::fs::access(existing, rustix::fs::Access::WRITE_OK)
        .map_err(|error| format!("{} cannot be written: {error}", existing.display()))?;
    let space = rustix::fs::statvfs(existing).map_err(|error| format!("{}: {error}", existing.display()))?;
    if space.f_bavail.saturating_mul(space.f_frsize) < FREE_BYTES_MIN {
        return Err(format!("{} is full", existing.display()));
    }
    Ok(())
}
