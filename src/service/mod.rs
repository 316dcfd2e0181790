//! A service: everything that the rest of the server knows of the cache, the limits, the locks and the broker.
//!
//! Each service has one row, a [`Service`], and `catalog` lists the rows.  Commands, endpoints, INFO, metrics, live
//! figures, readiness, timers and the end of a connection reach a service through its row only.  Opening and closing a service is the
//! keeper's work: it gives the state of an earlier server back, and writes the last records when the server stops.

mod info;

pub use info::{Page, Section, Shown, human_bytes};

use std::sync::Arc;

use crate::clock::Now;
use crate::command::{Client, Command, Services};
use crate::delivery::Effects;
use crate::http::endpoint::{Context, OpenApiRouter};
use crate::journal::keeper::{Persistent, ServiceJournal};
use crate::metrics::exposition::Exposition;

/// Says why something cannot serve, if so.
pub type HealthCheck = fn(&Services) -> Result<(), String>;

/// One service.
pub struct Service {
    /// Its name in metrics and in readiness.
    pub name: &'static str,
    /// Its commands, by family, in the order of the documentation.
    pub commands: &'static [&'static [Command]],
    /// Its HTTP endpoints.
    pub endpoints: fn() -> OpenApiRouter<Context>,
    /// Its sections of INFO.
    pub info: &'static [Section],
    /// Writes its families of metrics.
    pub metrics: fn(&mut Exposition, &Services),
    /// Its figures for those who watch the server live, as a JSON object; null if it has none.
    pub figures: fn(&Services) -> serde_json::Value,
    /// Says why it cannot serve, if so; none if the service has no part in readiness.
    pub health: Option<HealthCheck>,
    /// Does everything that has fallen due by `now`: called when the alarm has rung.
    pub advance: fn(&Services, Now, &mut Effects),
    /// Does its housekeeping: called twice a second.
    pub keep_house: fn(&Services),
    /// Follows settings that it does not read each time: called after each change.
    pub follow_settings: fn(&Services),
    /// How its state outlives the server; none if it keeps nothing on the disk.
    pub persistence: Option<Persistence>,
    /// Ends everything that a client holds through its connection, which has ended.
    pub disconnect: fn(&Services, &mut Client, Now, &mut Effects),
}

/// How a service's state outlives the server.
pub struct Persistence {
    /// Its way into the journal.
    pub journal: fn(&Services) -> &ServiceJournal,
    /// The end of it that the keeper holds, asked for once at the start.
    pub persistent: fn(&Arc<Services>) -> Box<dyn Persistent>,
}

impl Service {
    /// The start of a row, `Service { name: …, ..Service::ROW }`: a service that does nothing.
    pub const ROW: Service = Service {
        name: "",
        commands: &[],
        endpoints: OpenApiRouter::new,
        info: &[],
        metrics: |_, _| (),
        figures: |_| serde_json::Value::Null,
        health: None,
        advance: |_, _, _| (),
        keep_house: |_| (),
        follow_settings: |_| (),
        persistence: None,
        disconnect: |_, _, _, _| (),
    };
}
