//! What is done for all connections of the broker's protocol, whatever they do themselves.

use crate::client::{CloseReason, SharedClient};
use crate::command::Services;
use crate::settings::{Settings, SlowConsumer};

/// Wakes clients whose timers are due, and cuts off those that read nothing.  To be called twice a second.
pub fn keep_house(services: &Services) {
    let settings = services.settings.current();
    let now = services.clock.now().millis();
    for client in services.clients.of_broker() {
        let Some(facts) = client.broker() else { continue };
        if facts.fall_due(now) {
            client.outbox.wake();
        }
        cut_off_stalled(&client, &settings, now);
    }
}

/// Cuts off a client whose socket has taken nothing for too long.  One that is to miss messages instead stays: what waits for it
/// is bounded.
fn cut_off_stalled(client: &SharedClient, settings: &Settings, now: u64) {
    let Some(facts) = client.broker() else { return };
    let deadline = settings.broker_write_deadline.as_millis() as u64;
    let stalled = facts.stalled_for(client.outbox.bytes() > 0, now);
    let policy = facts.slow_consumer().unwrap_or(settings.broker_slow_consumer);
    if stalled >= deadline && policy == SlowConsumer::Disconnect && !client.outbox.is_closing() {
        let reason = "it has read nothing for broker-write-deadline";
        tracing::info!(client = client.id, address = %client.outbox.address(), reason, "closing");
        facts.set_close_reason(CloseReason::WriteDeadline);
        client.outbox.close();
        client.outbox.wake();
    }
}

/// Wakes all clients, to whom the server has something to say.
pub fn wake_all(services: &Services) {
    services.clients.of_broker().iter().for_each(|client| client.outbox.wake());
}
