//! How a request is answered: by JSON, by a message as such, or by a status without a payload.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::delivery::{Effects, Message};
use crate::stream::api::reply;
use crate::stream::api::subjects::Row;
use crate::stream::api::{Refusal, direct};
use crate::stream::hub::Hub;

/// The status of what nobody hears.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n\r\n";

/// Whoever has asked, and the row by which he is answered.  Without a reply subject he hears nothing.
#[derive(Clone)]
pub(super) struct Asker {
    hub: Arc<Hub>,
    row: &'static Row,
    reply: Arc<[u8]>,
}

impl Asker {
    pub(super) fn new(hub: &Arc<Hub>, row: &'static Row, reply: Arc<[u8]>) -> Asker {
        Asker { hub: Arc::clone(hub), row, reply }
    }

    /// Where the answer goes; nothing if nobody waits for one.
    pub(super) fn reply(&self) -> &Arc<[u8]> {
        &self.reply
    }

    /// Whether it gets JSON.  Otherwise messages as such or statuses.
    pub(super) fn answers_with_json(&self) -> bool {
        !self.row.reply.is_empty()
    }

    /// Answers with the members of a JSON object.
    pub(super) fn answer(&self, body: &impl Serialize, effects: &mut Effects) {
        if !self.reply.is_empty() {
            self.send(b"", &reply::reply(self.row, body), effects);
        }
    }

    /// Says why there is nothing else to say.
    pub(super) fn refuse(&self, refusal: impl Into<Refusal>, effects: &mut Effects) {
        match refusal.into() {
            Refusal::Error(error) => {
                self.hub.refusals.fetch_add(1, Relaxed);
                self.send(b"", &reply::refusal(self.row, &error), effects);
            }
            Refusal::Status(code, description) => {
                self.send(&direct::status(code, &description), b"", effects)
            }
            Refusal::NoResponders => self.send(NO_RESPONDERS, b"", effects),
        }
    }

    /// Sends a message as such.
    pub(super) fn send(&self, headers: &[u8], payload: &[u8], effects: &mut Effects) {
        send(&self.hub, &self.reply, headers, payload, effects);
    }
}

/// Tells whoever waits on a subject that nobody has heard him.
pub(super) fn no_responders(hub: &Hub, reply: &[u8], effects: &mut Effects) {
    send(hub, reply, NO_RESPONDERS, b"", effects);
}

/// Sends a message to whoever waits on a subject; an empty one is nobody.
pub(super) fn send(hub: &Hub, reply: &[u8], headers: &[u8], payload: &[u8], effects: &mut Effects) {
    if !reply.is_empty() {
        hub.fan_out.publish(&Message { headers, ..Message::new(reply, payload) }, effects);
    }
}
