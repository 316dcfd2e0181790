//! The end of the broker that its clients hardly notice: each is told, has time to look for another server, and is
//! disconnected at a time of its own, so that they do not all reconnect at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::connections;
use crate::client::CloseReason;
use crate::command::Services;

/// How often it is looked whether all clients have left by themselves, and whether the next are to be disconnected.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Tells all clients that the server ends, those that understand it by the field `ldm` of INFO.
pub fn announce(services: &Services) {
    services.announcement.end();
    connections::wake_all(services);
}

/// Announces the end, closes the door through `door`, and disconnects the clients after a while, one after the other.  Ends when
/// none is left.
pub async fn retire(services: &Services, door: &CancellationToken) {
    door.cancel();
    announce(services);
    let settings = services.settings.current();
    let (grace, duration) = (settings.broker_lame_duck_grace, settings.broker_lame_duck_duration);
    drop(settings);
    let clients = services.clients.of_broker().len();
    tracing::info!(clients, ?grace, ?duration, "the broker ends, and its clients are told");
    let began = services.clock.now();
    let elapsed = || Duration::from_micros(services.clock.now().micros().saturating_sub(began.micros()));
    while elapsed() < grace && !services.clients.of_broker().is_empty() {
        tokio::time::sleep(LOOK_INTERVAL.min(grace)).await;
    }
    disconnect(services, duration, || elapsed().saturating_sub(grace)).await;
}

/// Disconnects the clients, spread over `duration`.
async fn disconnect(services: &Services, duration: Duration, elapsed: impl Fn() -> Duration) {
    let clients = services.clients.of_broker();
    let mut done = 0;
    while done < clients.len() {
        let share = if duration.is_zero() { 1.0 } else { elapsed().as_secs_f64() / duration.as_secs_f64() };
        let due = (share.min(1.0) * clients.len() as f64).ceil() as usize;
        for client in &clients[done..due.max(done)] {
            if let Some(facts) = client.broker() {
                facts.set_close_reason(CloseReason::ServerShutdown);
            }
            client.outbox.finish();
            client.outbox.wake();
        }
        done = due.max(done);
        if services.clients.of_broker().is_empty() {
            return;
        }
        if done < clients.len() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}
