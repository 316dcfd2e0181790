//! Answers to requests: JSON, a stored message itself, or a status without a payload.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::audit::Audit;
use crate::delivery::{Effects, Message, Unfinished};
use crate::stream::api::reply;
use crate::stream::api::subjects::Row;
use crate::stream::api::{Refusal, direct};
use crate::stream::hub::Hub;

/// The sender of a request, and the row of the API by which it is answered.  Without a reply subject it gets no answer.
#[derive(Clone)]
pub(super) struct Asker {
    hub: Arc<Hub>,
    row: &'static Row,
    /// The subject of its request, and that of the answer.
    subject: Arc<[u8]>,
    reply: Arc<[u8]>,
    /// What is told to those who watch the API.
    audit: Option<Arc<Audit>>,
    /// The request is done when no part of it holds this any more.
    unfinished: Arc<Unfinished>,
}

impl Asker {
    pub(super) fn new(
        hub: &Arc<Hub>,
        row: &'static Row,
        [subject, reply]: [&Arc<[u8]>; 2],
        audit: Option<Audit>,
        unfinished: &Arc<Unfinished>,
    ) -> Asker {
        let (subject, reply) = (Arc::clone(subject), Arc::clone(reply));
        let (audit, unfinished) = (audit.map(Arc::new), Arc::clone(unfinished));
        Asker { hub: Arc::clone(hub), row, subject, reply, audit, unfinished }
    }

    /// The subject of the answer; none if nobody waits for one.
    pub(super) fn reply(&self) -> &Arc<[u8]> {
        &self.reply
    }

    /// Whether it gets JSON.  Otherwise it gets messages themselves, or statuses.
    pub(super) fn answers_with_json(&self) -> bool {
        !self.row.reply.is_empty()
    }

    /// Answers with the members of a JSON object.
    pub(super) fn answer(&self, body: &impl Serialize, effects: &mut Effects) {
        if !self.reply.is_empty() || self.audit.is_some() {
            self.send_json(&reply::reply(self.row, body), effects);
        }
    }

    fn send_json(&self, json: &[u8], effects: &mut Effects) {
        self.send(b"", json, effects);
        if let Some(audit) = &self.audit {
            audit.tell(&self.hub, &self.subject, json, self.hub.clock.now(), effects);
        }
    }

    /// Answers with an error.
    pub(super) fn refuse(&self, refusal: impl Into<Refusal>, effects: &mut Effects) {
        match refusal.into() {
            Refusal::Error(error) => {
                self.hub.refusals.fetch_add(1, Relaxed);
                self.send_json(&reply::refusal(self.row, &error), effects);
            }
            Refusal::Status(code, description) => {
                self.send(&direct::status(code, &description), b"", effects)
            }
            Refusal::NoResponders => no_responders(&self.hub, &self.subject, &self.reply, effects),
        }
    }

    /// Sends a stored message itself.
    pub(super) fn send(&self, headers: &[u8], payload: &[u8], effects: &mut Effects) {
        send(&self.hub, &self.reply, headers, payload, effects);
        effects.note_answered(&self.unfinished);
    }
}

/// Tells the client that waits on `reply` that nobody heard its request on `subject`, as the door does for subjects that nobody
/// subscribes to.
pub(super) fn no_responders(hub: &Hub, subject: &[u8], reply: &[u8], effects: &mut Effects) {
    send(hub, reply, &direct::no_responders(subject), b"", effects);
}

/// Sends a message to the subscribers of a subject; with an empty subject, to nobody.
pub(super) fn send(hub: &Hub, reply: &[u8], headers: &[u8], payload: &[u8], effects: &mut Effects) {
    if !reply.is_empty() {
        hub.fan_out.publish(&Message { headers, ..Message::new(reply, payload) }, effects);
    }
}
