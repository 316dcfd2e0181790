//! The request by which a NATS client asks as whom it is connected.
//!
//! It is the only request to the server that is answered: the others belong to the system account of nats-server, and there are no
//! accounts here.  The answer has the user and no permissions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use serde::Serialize;

use super::announcement::{NATS_VERSION, SERVER_NAME, STREAM_FLAGS, ServerFacts};
use crate::clock::{Clock, wall_time};
use crate::delivery::{ACCOUNT, AfterBatch, Effects, FanOut, Message, Sink};

/// The subject of the request.
const SUBJECT: &[u8] = b"$SYS.REQ.USER.INFO";

/// What the server knows of the client that asks.
#[derive(Default)]
pub struct Asking {
    /// The user as whom it has authenticated; empty for none.
    pub user: String,
    /// The address of this server that it is connected to.
    pub host: String,
}

/// Finds the client with a number; none if it has gone.
pub type FindAsking = Box<dyn Fn(u64) -> Option<Asking> + Send + Sync>;

/// What answers need.
struct Facts {
    fan_out: Weak<FanOut>,
    clock: Arc<Clock>,
    server_id: String,
    find: FindAsking,
    /// Answers so far.
    answers: AtomicU64,
}

/// Takes the requests.
struct UserInfoSink(Arc<Facts>);

/// A request that is answered as soon as no lock is held.
struct Question {
    facts: Arc<Facts>,
    reply: Box<[u8]>,
    sender: Option<u64>,
}

/// The fields in the order of nats-server.
#[derive(Serialize)]
struct Answer<'a> {
    server: ServerFacts<'a>,
    data: User,
}

#[derive(Serialize)]
struct User {
    user: String,
    account: &'static str,
    account_name: &'static str,
}

/// Has the requests answered, for as long as the server runs.
pub fn listen(fan_out: &Arc<FanOut>, clock: &Arc<Clock>, server_id: String, find: FindAsking) {
    let (answers, clock) = (AtomicU64::new(0), Arc::clone(clock));
    let facts = Facts { fan_out: Arc::downgrade(fan_out), clock, server_id, find, answers };
    // It stays as long as the server.
    let _ = fan_out.add_sink(SUBJECT, Arc::new(UserInfoSink(Arc::new(facts))));
}

impl Sink for UserInfoSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        if !message.reply.is_empty() {
            let (facts, reply) = (Arc::clone(&self.0), message.reply.into());
            effects.after_batch(Arc::new(Question { facts, reply, sender: message.sender }));
        }
        true
    }
}

impl AfterBatch for Question {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        let Question { facts, reply, sender } = &*self;
        let Some(fan_out) = facts.fan_out.upgrade() else { return };
        let Asking { user, host } = sender.and_then(|number| (facts.find)(number)).unwrap_or_default();
        let answer = Answer {
            server: ServerFacts {
                name: SERVER_NAME,
                host,
                id: &facts.server_id,
                ver: NATS_VERSION,
                jetstream: true,
                flags: STREAM_FLAGS,
                seq: facts.answers.fetch_add(1, Relaxed) + 1,
                time: wall_time(facts.clock.now().wall_micros()),
            },
            data: User { user, account: ACCOUNT, account_name: ACCOUNT },
        };
        let json = serde_json::to_vec(&answer).expect("it holds nothing that JSON cannot say");
        fan_out.publish(&Message::new(reply, &json), effects);
    }
}
