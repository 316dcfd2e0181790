//! The broker as a service: its row and its metrics.

use super::{commands, connections, endpoints};
use crate::client::{CloseReason, Door};
use crate::command::Services;
use crate::delivery::{Amount, FanOut, Listener};
use crate::metrics::exposition::Exposition;
use crate::service::{Page, Section, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "broker",
    commands: &[commands::COMMANDS],
    endpoints: endpoints::endpoints,
    info: &[Section::by_default("broker", "Broker", info)],
    metrics,
    figures,
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

fn info(page: &mut Page, services: &Services) {
    let (fan_out, clients) = (&services.fan_out, &services.clients);
    let (published, sent) = (fan_out.published_by_clients(), fan_out.sent());
    page.field("broker_connections", clients.len(Door::Broker));
    page.field("broker_websocket_connections", clients.len(Door::WebSocket));
    page.field("broker_stale_connections", clients.closed.count(CloseReason::Stale));
    page.field("broker_subscriptions", fan_out.channels.subscription_count());
    page.field("broker_messages_in", published.messages);
    page.field("broker_bytes_in", published.bytes);
    page.field("broker_messages_out", sent.messages);
    page.field("broker_bytes_out", sent.bytes);
    page.field("broker_slow_consumers", fan_out.slow_receivers().map(|(_, count)| count).sum::<u64>());
    page.field("broker_messages_missed", fan_out.missed());
    page.field("broker_waiting_bytes", fan_out.waiting_bytes());
}

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
    let report = channels.report();
    text.gauge("quartet_broker_subscriptions", "Subscriptions of all listeners.").value(report.subscriptions);
    text.counter("quartet_broker_lookups_total", "Lookups of the subscriptions to subjects.")
        .value(report.lookups);
    text.gauge("quartet_broker_lookups_remembered", "Subjects whose lookups threads remember.")
        .value(report.remembered);
    text.counter(
        "quartet_broker_messages_total",
        "Messages that a listener's clients have published (in) and that its receivers were sent (out).",
    );
    traffic(text, fan_out, |amount| amount.messages);
    text.counter("quartet_broker_message_bytes_total", "Bytes of their headers and payloads.");
    traffic(text, fan_out, |amount| amount.bytes);
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

fn figures(services: &Services) -> serde_json::Value {
    let fan_out = &services.fan_out;
    let (published, sent) = (fan_out.published_by_clients(), fan_out.sent());
    serde_json::json!({
        "subscriptions": fan_out.channels.subscription_count(),
        "subjects": fan_out.channels.subject_count(),
        "messages_in": published.messages,
        "bytes_in": published.bytes,
        "messages_out": sent.messages,
        "bytes_out": sent.bytes,
        "slow_consumers": fan_out.slow_receivers().map(|(_, count)| count).sum::<u64>(),
        "messages_missed": fan_out.missed(),
        "waiting_bytes": fan_out.waiting_bytes(),
    })
}

/// Writes samples of the messages that each listener has published and sent.
fn traffic(text: &mut Exposition, fan_out: &FanOut, figure: fn(Amount) -> u64) {
    for &listener in Listener::ALL {
        let traffic = fan_out.traffic(listener);
        text.sample(&[("listener", listener.name()), ("direction", "in")], figure(traffic.published));
        // The server publishes, but receives nothing.
        if listener != Listener::Server {
            text.sample(&[("listener", listener.name()), ("direction", "out")], figure(traffic.sent));
        }
    }
}
