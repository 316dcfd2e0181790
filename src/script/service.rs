//! Scripts as a service: its row and its metrics.

use super::commands;
use crate::command::Services;
use crate::metrics::exposition::Exposition;
use crate::service::Service;

/// The service's row.
pub const SERVICE: Service = Service {
    name: "scripts",
    commands: &[commands::eval::COMMANDS, commands::scripts::COMMANDS],
    metrics,
    ..Service::ROW
};

fn metrics(text: &mut Exposition, services: &Services) {
    let (scripts, bytes) = services.scripts.figures();
    text.gauge("quartet_scripts", "Scripts that the server knows.").value(scripts);
    text.gauge("quartet_scripts_memory_bytes", "Memory of their texts.").value(bytes);
}
