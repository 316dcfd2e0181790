//! The streams as a service: their row.

use crate::service::{Persistence, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "streams",
    advance: |services, now, effects| services.streams.advance(now, effects),
    persistence: Some(Persistence {
        journal: |services| services.streams.journal(),
        persistent: |services| services.streams.persistent(),
    }),
    ..Service::ROW
};
