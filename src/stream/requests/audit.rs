//! What is told of each request of the API and its answer to those who watch the API, on the subject on which nats-server
//! does so.

use std::borrow::Cow;

use serde::Serialize;

use crate::clock::Now;
use crate::delivery::{ACCOUNT, Effects, Message, Sender};
use crate::stream::hub::Hub;
use crate::stream::json::Time;
use crate::stream::shared::nanoseconds;
use crate::stream::upkeep::advisory_id;

/// The subject.
const SUBJECT: &[u8] = b"$JS.EVENT.ADVISORY.API";

/// A request of which somebody wants to be told.
pub(super) struct Audit {
    body: Box<[u8]>,
    sender: Sender,
}

/// The message.
#[derive(Serialize)]
struct Told<'t> {
    r#type: &'static str,
    id: String,
    timestamp: Time,
    #[serde(skip_serializing_if = "str::is_empty")]
    server: &'t str,
    client: &'t Sender,
    subject: Cow<'t, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    request: Cow<'t, str>,
    response: Cow<'t, str>,
}

impl Audit {
    /// Notes a request, if somebody wants to be told.
    pub(super) fn of(hub: &Hub, body: &[u8], sender: Option<u64>) -> Option<Audit> {
        let is_wanted = hub.fan_out.channels.has_interest(SUBJECT);
        is_wanted.then(|| Audit { body: body.into(), sender: known(hub, sender) })
    }

    /// Tells of the request on this subject, and of its answer.
    pub(super) fn tell(&self, hub: &Hub, subject: &[u8], answer: &[u8], now: Now, effects: &mut Effects) {
        let told = Told {
            r#type: "io.nats.jetstream.advisory.v1.api_audit",
            id: advisory_id(),
            timestamp: Time::from_nanoseconds(nanoseconds(now)),
            server: &self.sender.server,
            client: &self.sender,
            subject: String::from_utf8_lossy(subject),
            request: String::from_utf8_lossy(&self.body),
            response: String::from_utf8_lossy(answer),
        };
        // Values in memory are always written.
        let text = serde_json::to_vec(&told).unwrap_or_default();
        hub.fan_out.publish(&Message::new(SUBJECT, &text), effects);
    }
}

/// What is known of the client with this number.
fn known(hub: &Hub, number: Option<u64>) -> Sender {
    let introduction = hub.introduction();
    let told = introduction.zip(number).and_then(|(told, number)| (told.client)(number, hub.clock.now()));
    let server = introduction.map(|told| told.server.clone()).unwrap_or_default();
    let unknown = || Sender { number, account: ACCOUNT, ..Sender::default() };
    Sender { server, ..told.unwrap_or_else(unknown) }
}
