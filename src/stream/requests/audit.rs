//! What is told of each request of the API and its answer to those who watch the API, on the subject on which nats-server
//! does so.
//!
//! Of the client it names the number only: the streams know neither its address nor its name.

use std::borrow::Cow;

use serde::Serialize;

use crate::clock::Now;
use crate::delivery::{Effects, Message};
use crate::stream::hub::Hub;
use crate::stream::json::Time;
use crate::stream::shared::nanoseconds;
use crate::stream::upkeep::advisory_id;

/// The subject.
const SUBJECT: &[u8] = b"$JS.EVENT.ADVISORY.API";

/// A request of which somebody wants to be told.
pub(super) struct Audit {
    body: Box<[u8]>,
    sender: Option<u64>,
}

/// The message.
#[derive(Serialize)]
struct Told<'t> {
    r#type: &'static str,
    id: String,
    timestamp: Time,
    client: Client,
    subject: Cow<'t, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    request: Cow<'t, str>,
    response: Cow<'t, str>,
}

/// The sender of the request.
#[derive(Serialize)]
struct Client {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    acc: &'static str,
    kind: &'static str,
    client_type: &'static str,
}

impl Audit {
    /// Notes a request, if somebody wants to be told.
    pub(super) fn of(hub: &Hub, body: &[u8], sender: Option<u64>) -> Option<Audit> {
        hub.fan_out.channels.has_interest(SUBJECT).then(|| Audit { body: body.into(), sender })
    }

    /// Tells of the request on this subject, and of its answer.
    pub(super) fn tell(&self, hub: &Hub, subject: &[u8], answer: &[u8], now: Now, effects: &mut Effects) {
        let told = Told {
            r#type: "io.nats.jetstream.advisory.v1.api_audit",
            id: advisory_id(),
            timestamp: Time::from_nanoseconds(nanoseconds(now)),
            client: Client { id: self.sender, acc: "$G", kind: "Client", client_type: "nats" },
            subject: String::from_utf8_lossy(subject),
            request: String::from_utf8_lossy(&self.body),
            response: String::from_utf8_lossy(answer),
        };
        // Values in memory are always written.
        let text = serde_json::to_vec(&told).unwrap_or_default();
        hub.fan_out.publish(&Message::new(SUBJECT, &text), effects);
    }
}
