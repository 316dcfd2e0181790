//! The changes that the client requests, through the API.

use std::time::Duration;

use quartet::random::Random;
use serde_json::json;

use super::model::{Change, Definition, Kind, State};

/// The names of consumers.
pub(super) const CONSUMERS: [&str; 2] = ["c", "d"];

/// How long a message waits for its acknowledgement.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// A change of a stream, if there is one in this state, or its beginning; the request for it and its body.
pub(in crate::stream) fn random_change(
    name: &str,
    stream: Option<&State>,
    random: &mut Random,
) -> (Change, String, String) {
    let Some(state) = stream else {
        let definition = Definition::random(random);
        let body = definition.json(name);
        return (Change::Create(definition), format!("STREAM.CREATE.{name}"), body);
    };
    let consumer = CONSUMERS[random.below(CONSUMERS.len())];
    let some = random.below(state.last as usize + 2) as u64;
    let is_exact = state.definition.kind != Kind::WorkQueue;
    let purge = format!("STREAM.PURGE.{name}");
    match random.below(12) {
        0 => (Change::Delete, format!("STREAM.DELETE.{name}"), String::new()),
        1 => (Change::Clear(0), purge, String::new()),
        2 => {
            let next = state.last + 100;
            (Change::Clear(next), purge, json!({ "seq": next }).to_string())
        }
        3 | 4 if is_exact && state.last > 0 => {
            let before = 1 + some.min(state.last - 1);
            (Change::PurgeBefore(before), purge, json!({ "seq": before }).to_string())
        }
        5 if is_exact => {
            let (subject, kept) = (format!("{name}.a"), random.below(3) as u64);
            let body = if kept > 0 {
                json!({ "filter": subject, "keep": kept })
            } else {
                json!({ "filter": subject })
            };
            (Change::PurgeSubject(subject, kept), purge, body.to_string())
        }
        6 | 7 if is_exact => {
            let definition = state.definition.with_limits(random);
            let body = definition.json(name);
            (Change::Update(definition), format!("STREAM.UPDATE.{name}"), body)
        }
        8 if state.consumers.contains(consumer) => {
            let request = format!("CONSUMER.DELETE.{name}.{consumer}");
            (Change::DeleteConsumer(consumer.to_owned()), request, String::new())
        }
        8..10 => {
            let consumer = if is_exact { consumer } else { CONSUMERS[0] };
            let config = json!({
                "durable_name": consumer, "ack_policy": "explicit", "deliver_policy": "all",
                "ack_wait": ACKNOWLEDGED_WITHIN.as_nanos() as u64,
            });
            let body = json!({ "stream_name": name, "config": config }).to_string();
            let request = format!("CONSUMER.CREATE.{name}.{consumer}");
            (Change::CreateConsumer(consumer.to_owned()), request, body)
        }
        _ => {
            let body = json!({ "seq": some.max(1) }).to_string();
            (Change::DeleteMessage(some.max(1)), format!("STREAM.MSG.DELETE.{name}"), body)
        }
    }
}
