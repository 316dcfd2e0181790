//! Scripts as a service: its row and its metrics.

use super::{commands, libraries};
use crate::command::Services;
use crate::metrics::exposition::Exposition;
use crate::service::{Persistence, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "scripts",
    commands: &[
        commands::eval::COMMANDS,
        commands::scripts::COMMANDS,
        commands::fcall::COMMANDS,
        commands::functions::COMMANDS,
    ],
    metrics,
    health: Some(|services| services.journal_health("scripts")),
    persistence: Some(Persistence {
        journal: |services| services.scripts.libraries.journal(),
        persistent: |services| libraries::persistent(&services.scripts.libraries),
    }),
    ..Service::ROW
};

fn metrics(text: &mut Exposition, services: &Services) {
    let figures = services.scripts.figures();
    text.gauge("quartet_scripts", "Scripts that the server knows.").value(figures.scripts);
    text.gauge("quartet_scripts_memory_bytes", "Memory of their texts.").value(figures.script_bytes);
    text.gauge("quartet_libraries", "Libraries of functions.").value(figures.libraries);
    text.gauge("quartet_functions", "Functions of all libraries.").value(figures.functions);
    text.gauge("quartet_libraries_memory_bytes", "Memory of the texts of libraries.")
        .value(figures.library_bytes);
    text.gauge("quartet_lua_memory_bytes", "Memory of the Lua of all threads.").value(figures.lua_bytes);
}
