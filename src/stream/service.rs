//! The streams as a service: their row.

use super::endpoints;
use crate::delivery::Effects;
use crate::service::{Persistence, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "streams",
    endpoints: endpoints::endpoints,
    advance: |services, now, effects| services.streams.advance(now, effects),
    keep_house: |services| {
        let mut effects = Effects::default();
        services.streams.keep_house(services.clock.now(), &mut effects);
        effects.deliver(&services.alarm);
    },
    persistence: Some(Persistence {
        journal: |services| services.streams.journal(),
        persistent: |services| services.streams.persistent(),
    }),
    ..Service::ROW
};
