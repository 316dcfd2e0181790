//! The broker as a service: its row and its metrics.

use super::{commands, connections, endpoints};
use crate::command::Services;
use crate::delivery::FanOut;
use crate::metrics::exposition::Exposition;
use crate::service::Service;

/// The service's row.
pub const SERVICE: Service = Service {
    name: "broker",
    commands: &[commands::COMMANDS],
    endpoints: endpoints::endpoints,
    metrics,
    keep_house: |services| {
        connections::keep_house(services);
        services.fan_out.log_slow_receivers(services.clock.now());
    },
    follow_settings: |services| {
        let settings = services.settings.current();
        services.fan_out.follow_settings(&settings);
        if services.announcement.follow(&settings) {
            connections::wake_all(services);
        }
    },
    disconnect: |services, client, _, effects| client.forget_subscriptions(&services.fan_out, effects),
    ..Service::ROW
};

fn metrics(text: &mut Exposition, services: &Services) {
    let FanOut { channels, shard_channels, .. } = &*services.fan_out;
    text.gauge("quartet_broker_channels", "Channels and patterns with at least one subscriber.").values(
        "kind",
        [
            ("channel", channels.subject_count()),
            ("shard", shard_channels.subject_count()),
            ("pattern", channels.glob_count()),
        ],
    );
    let fan_out = &services.fan_out;
    text.counter(
        "quartet_broker_slow_consumers_total",
        "Receivers that became too slow, by what happened to them.",
    )
    .values("policy", fan_out.slow_receivers());
    text.counter("quartet_broker_messages_missed_total", "Messages that receivers were too slow for.")
        .value(fan_out.missed());
    text.gauge("quartet_broker_waiting_bytes", "Memory of all messages that wait for receivers, about.")
        .value(fan_out.waiting_bytes());
    text.gauge("quartet_broker_waiting_limit_bytes", "The limit for that memory; 0 for none.")
        .value(services.settings.current().broker_memory_limit);
}
