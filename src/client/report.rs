//! The facts of a client at one moment, for monitoring and for events.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{BrokerFacts, CloseReason, Door, Identity, SharedClient};
use crate::clock::{Now, wall_time};
use crate::delivery::{ACCOUNT, Amount, Sender};

/// See the module's text.  Times are in milliseconds of the server's clock.
#[derive(Clone, Debug)]
pub struct ClientReport {
    /// Its number.
    pub id: u64,
    /// The listener that it came by.
    pub door: Door,
    /// The address it came from.
    pub address: SocketAddr,
    /// When it connected.
    pub connected_at: u64,
    /// When it last said something.
    pub last_active: u64,
    /// When and why it has gone, if it has.
    pub end: Option<(u64, CloseReason)>,
    /// How long it took to answer the last ping, if it has answered any.
    pub round_trip: Option<Duration>,
    /// Bytes that wait for it.
    pub pending_bytes: usize,
    /// What it has published.
    pub published: Amount,
    /// What it was sent.
    pub sent: Amount,
    /// The number of its subscriptions.
    pub subscriptions: usize,
    /// What it told about itself.
    pub identity: Identity,
}

impl ClientReport {
    /// The facts now; none of a client that does not speak with the broker.
    pub fn of(client: &SharedClient) -> Option<ClientReport> {
        let facts = client.broker()?;
        Some(ClientReport {
            id: client.id,
            door: client.door,
            address: client.outbox.address(),
            connected_at: client.connected_at,
            last_active: client.last_active.load(Relaxed),
            end: None,
            round_trip: facts.round_trip(),
            pending_bytes: client.outbox.bytes(),
            published: facts.published(),
            sent: client.outbox.sent(),
            subscriptions: facts.subscription_count(),
            identity: client.identity(),
        })
    }
}

impl SharedClient {
    /// What events tell of it now, but for its server.
    pub fn as_sender(&self, now: Now) -> Sender {
        let Identity { name, library_name: language, library_version: version, user } = self.identity();
        let round_trip = self.broker().and_then(BrokerFacts::round_trip);
        Sender {
            start: Some(wall_time(now.wall_of_deadline(self.connected_at) * 1000)),
            address: self.outbox.address().ip().to_canonical().to_string(),
            number: Some(self.id),
            account: ACCOUNT,
            user,
            name,
            language,
            version,
            round_trip: round_trip.map(|taken| taken.as_nanos() as u64),
            kind: "Client",
            client_type: self.door.client_type(),
            ..Sender::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Clients;

    #[test]
    fn a_sender_is_told_with_what_is_known_of_it() {
        let now = Now::at(Duration::from_secs(1_000), Duration::from_secs(1_800_000_000));
        let address = "[::ffff:10.0.0.7]:5000".parse().expect("an address");
        let client = Clients::default().connect(Door::WebSocket, address, address, now.millis() - 1_500);
        let told = |client: &SharedClient| serde_json::to_string(&client.as_sender(now)).expect("it is JSON");
        let start = r#"{"start":"2027-01-15T07:59:58.5Z","host":"10.0.0.7","id":1,"acc":"$G""#;
        let end = r#""kind":"Client","client_type":"websocket"}"#;
        assert_eq!(told(&client), format!("{start},{end}"));
        client.identify(|identity| identity.user = "alice".to_owned());
        client.broker().expect("it speaks with the broker").set_round_trip(Duration::from_micros(3));
        assert_eq!(told(&client), format!(r#"{start},"user":"alice","rtt":3000,{end}"#));
    }
}
