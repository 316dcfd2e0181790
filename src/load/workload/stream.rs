//! The streams that loads store into and read from.

use serde_json::{Value, json};

use super::super::target::Target;

/// The name of the stream that a load makes.
pub(super) const NAME: &str = "quartet-bench";

/// The beginning of its subjects.
pub(super) const SUBJECT: &str = "quartet.bench.stored";

/// What an API of streams says of one that is not there.
const NOT_FOUND: u64 = 10_059;

/// After so many nanoseconds without a reader the server drops a consumer, so that a run that is cut short leaves none.
const CONSUMER_LIFETIME: u64 = 300_000_000_000;

/// How a stream keeps its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keeping {
    /// In memory, and not in files.
    pub(super) is_in_memory: bool,
    /// Whether it acknowledges messages before they are synced.
    pub(super) is_unsynced: bool,
}

/// Makes the stream anew.
///
/// # Errors
/// If the server has no streams, or refuses.
pub(super) fn create(target: &Target, keeping: Keeping) -> Result<(), String> {
    // A run that was cut short, or kept it, has left one.
    delete(target)?;
    let storage = if keeping.is_in_memory { "memory" } else { "file" };
    let mut definition = json!({ "name": NAME, "subjects": [format!("{SUBJECT}.*")], "storage": storage });
    if keeping.is_unsynced {
        definition["persist_mode"] = "async".into();
    }
    ask(target, &format!("$JS.API.STREAM.CREATE.{NAME}"), &definition.to_string(), None).map(drop)
}

/// Deletes the stream if it is there.
///
/// # Errors
/// If the server refuses.
pub(super) fn delete(target: &Target) -> Result<(), String> {
    ask(target, &format!("$JS.API.STREAM.DELETE.{NAME}"), "", Some(NOT_FOUND)).map(drop)
}

/// How many messages a stream holds.
///
/// # Errors
/// If it is not there.
pub(super) fn messages(target: &Target, stream: &str) -> Result<u64, String> {
    let info = ask(target, &format!("$JS.API.STREAM.INFO.{stream}"), "", None)?;
    Ok(info["state"]["messages"].as_u64().unwrap_or_default())
}

/// Makes a consumer of a stream, from which messages are pulled.
///
/// # Errors
/// If the server refuses.
pub(super) fn create_consumer(
    target: &Target,
    stream: &str,
    name: &str,
    acknowledges: bool,
) -> Result<(), String> {
    let mut config = json!({
        "durable_name": name, "deliver_policy": "all", "ack_policy": if acknowledges { "explicit" } else { "none" },
        "inactive_threshold": CONSUMER_LIFETIME,
    });
    if acknowledges {
        // As many may be unacknowledged, so that acknowledgements on their way hold nothing up.
        config["max_ack_pending"] = 20_000.into();
    }
    let request = json!({ "stream_name": stream, "config": config });
    ask(target, &format!("$JS.API.CONSUMER.CREATE.{stream}.{name}"), &request.to_string(), None).map(drop)
}

/// Deletes a consumer of a stream.
///
/// # Errors
/// If the server refuses.
pub(super) fn delete_consumer(target: &Target, stream: &str, name: &str) -> Result<(), String> {
    ask(target, &format!("$JS.API.CONSUMER.DELETE.{stream}.{name}"), "", None).map(drop)
}

/// Asks the API, and takes one error for none.
fn ask(target: &Target, subject: &str, body: &str, accepted: Option<u64>) -> Result<Value, String> {
    let answer = target.connect(b"")?.request(subject, body).map_err(|why| target.fault(&why))?;
    let error = &answer["error"];
    if error.is_null() || accepted.is_some() && error["err_code"].as_u64() == accepted {
        return Ok(answer);
    }
    Err(target.fault(&format!("{subject}: {}", error["description"].as_str().unwrap_or("refused"))))
}
