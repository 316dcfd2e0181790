//! The stream that loads store into and read from.

use super::super::target::Target;

/// Its name.
pub(super) const NAME: &str = "quartet-bench";

/// The beginning of its subjects.
pub(super) const SUBJECT: &str = "quartet.bench.stored";

/// What an API of streams says of one that is not there.
const NOT_FOUND: u64 = 10_059;

/// Makes the stream anew.
///
/// # Errors
/// If the server has no streams, or refuses.
pub(super) fn create(target: &Target, is_in_memory: bool) -> Result<(), String> {
    // A run that was cut short has left one.
    delete(target)?;
    let storage = if is_in_memory { "memory" } else { "file" };
    let subjects = [format!("{SUBJECT}.*")];
    let definition = serde_json::json!({ "name": NAME, "subjects": subjects, "storage": storage });
    ask(target, &format!("$JS.API.STREAM.CREATE.{NAME}"), &definition.to_string(), None)
}

/// Deletes the stream if it is there.
///
/// # Errors
/// If the server refuses.
pub(super) fn delete(target: &Target) -> Result<(), String> {
    ask(target, &format!("$JS.API.STREAM.DELETE.{NAME}"), "", Some(NOT_FOUND))
}

/// Makes a consumer of the stream, from which messages are pulled.
///
/// # Errors
/// If the server refuses.
pub(super) fn create_consumer(target: &Target, name: &str, acknowledges: bool) -> Result<(), String> {
    let mut config = serde_json::json!({
        "durable_name": name, "deliver_policy": "all", "ack_policy": if acknowledges { "explicit" } else { "none" },
    });
    if acknowledges {
        // As many may be unacknowledged, so that acknowledgements on their way hold nothing up.
        config["max_ack_pending"] = 20_000.into();
    }
    let request = serde_json::json!({ "stream_name": NAME, "config": config });
    ask(target, &format!("$JS.API.CONSUMER.CREATE.{NAME}.{name}"), &request.to_string(), None)
}

/// Asks the API, and takes one error for none.
fn ask(target: &Target, subject: &str, body: &str, accepted: Option<u64>) -> Result<(), String> {
    let answer = target.connect(b"")?.request(subject, body).map_err(|why| target.fault(&why))?;
    let error = &answer["error"];
    if error.is_null() || accepted.is_some() && error["err_code"].as_u64() == accepted {
        return Ok(());
    }
    Err(target.fault(&format!("{subject}: {}", error["description"].as_str().unwrap_or("refused"))))
}
