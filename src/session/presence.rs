//! The events of clients that come and go, on subjects of the server itself and in the form of nats-server.
//!
//! Only subscriptions that name the beginning `$SYS` get them, so a subscription to everything is not disturbed.

use serde::Serialize;

use super::facts;
use crate::broker::announcement::{NATS_VERSION, SERVER_NAME, STREAM_FLAGS, ServerFacts};
use crate::client::{CloseReason, SharedClient};
use crate::clock::{Now, wall_time};
use crate::command::executor::Publisher;
use crate::delivery::{self, Message, Sender};

/// Where it is told that a client has come.
const CONNECTED: &[u8] = b"$SYS.ACCOUNT.$G.CONNECT";

/// Where it is told that a client has gone.
const GONE: &[u8] = b"$SYS.ACCOUNT.$G.DISCONNECT";

/// The fields in the order of nats-server.
#[derive(Serialize)]
struct Event<'e> {
    r#type: &'static str,
    id: String,
    timestamp: String,
    server: ServerFacts<'e>,
    client: Sender,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// What is told of a client that has gone.
#[derive(Serialize)]
struct End {
    /// What the client has sent.
    sent: Amount,
    /// What it has received.
    received: Amount,
    reason: &'static str,
}

#[derive(Serialize)]
struct Amount {
    msgs: u64,
    bytes: u64,
}

/// What was told of one client.
#[derive(Default)]
pub(super) struct Presence {
    is_known: bool,
}

impl Presence {
    /// Tells that the client has come, unless that was told before.
    pub(super) fn come(&mut self, client: &SharedClient, publisher: &mut Publisher<'_>, now: Now) {
        if !std::mem::replace(&mut self.is_known, true) {
            log(client);
            tell(client, publisher, now, None);
        }
    }

    /// Tells that the client has gone, if it was told that it had come.
    pub(super) fn go(&mut self, client: &SharedClient, publisher: &mut Publisher<'_>, now: Now) {
        if std::mem::replace(&mut self.is_known, false) {
            tell(client, publisher, now, Some(client.close_reason()));
        }
    }
}

/// Logs that a client has come.  Its words are quoted, so that they cannot end the line.
fn log(client: &SharedClient) {
    tracing::debug!(
        client = client.id,
        address = %client.outbox.address(),
        listener = client.door.name(),
        name = client.identity().name,
        user = client.identity().user_name(),
        "a client of the broker has come"
    );
}

/// Publishes an event, if anybody wants it.
fn tell(shared: &SharedClient, publisher: &mut Publisher<'_>, now: Now, gone: Option<CloseReason>) {
    let subject = if gone.is_some() { GONE } else { CONNECTED };
    let services = publisher.services;
    if !services.fan_out.channels.has_interest(subject) {
        return;
    }
    let (seq, id) = services.announcement.next_event();
    let event = Event {
        r#type: match gone {
            None => "io.nats.server.advisory.v1.client_connect",
            Some(_) => "io.nats.server.advisory.v1.client_disconnect",
        },
        id,
        timestamp: wall_time(now.wall_micros()),
        server: ServerFacts {
            name: SERVER_NAME,
            host: shared.local_address.ip().to_string(),
            id: &services.announcement.server_id,
            ver: NATS_VERSION,
            jetstream: true,
            flags: STREAM_FLAGS,
            seq,
            time: wall_time(now.wall_micros()),
        },
        client: Sender { stop: gone.map(|_| wall_time(now.wall_micros())), ..shared.as_sender(now) },
        end: gone.map(|reason| end(shared, reason)),
    };
    let json = serde_json::to_vec(&event).expect("it holds nothing that JSON cannot say");
    services.fan_out.publish(&Message::new(subject, &json), publisher.effects);
}

fn end(shared: &SharedClient, reason: CloseReason) -> End {
    let amount = |amount: delivery::Amount| Amount { msgs: amount.messages, bytes: amount.bytes };
    End {
        sent: amount(facts(shared).published()),
        received: amount(shared.outbox.sent()),
        reason: reason.text(),
    }
}
