//! Several keys in one request, which others see all at once.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::conditions::{ConditionHeaders, Conditions};
use super::database::Database;
use super::document::Document;
use super::input_value::{Encoding, InputValue, lifetime};
use super::output_value::{JSON, OutputValue};
use super::representations;
use crate::http::endpoint::{
    Context, Json, JsonText, OpenApiRouter, Problem, ProblemBody, Query, Room, State, problems, routes,
};

/// Most keys in one request; their shards are locked together.
const KEYS_MAX: usize = 1000;

/// Most bytes of values that one response carries.
const VALUES_BYTES_MAX: usize = 64 << 20;

/// The keys to read.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"keys": ["greeting", "absent"]}))]
struct Keys {
    /// The keys.
    #[schema(max_items = 1000)]
    keys: Vec<String>,
}

/// The values of several keys.
#[derive(Serialize, utoipa::ToSchema)]
struct Entries {
    /// One per key, in their order.
    entries: Vec<Slot>,
}

/// The value of one key, if the key exists.
#[derive(Serialize, utoipa::ToSchema)]
struct Slot {
    /// The key.
    key: String,
    /// Whether the key exists and holds a string.
    found: bool,
    /// The value: a string, or the JSON that was written.
    #[schema(required = false)]
    value: serde_json::Value,
    /// Present if the value is not UTF-8 and is written in base64.
    #[schema(required = false, nullable = false)]
    encoding: Option<&'static str>,
}

/// The keys to write.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"entries": [{"key": "greeting", "value": "hello"}, {"key": "user:42", "value": {"name": "Ada"}, "ttl": 60}]}))]
struct NewEntries {
    /// The keys with their values.
    #[schema(max_items = 1000)]
    entries: Vec<NewEntry>,
    /// Write only if none of the keys exists.
    #[serde(default)]
    if_absent: bool,
}

/// A key to write.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    /// The key.
    key: String,
    /// Any JSON, as for a single value.
    #[schema(value_type = serde_json::Value)]
    value: JsonText,
    /// Says that the value is a string in base64.
    encoding: Option<Encoding>,
    /// Seconds until the key expires; without it the key does not expire.
    #[schema(minimum = 0.001, maximum = 3155760000.0)]
    ttl: Option<f64>,
}

/// The result of a write.
#[derive(Serialize, utoipa::ToSchema)]
struct BatchWritten {
    /// How many entries.
    written: usize,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get_batch)).routes(routes!(set_batch))
}

/// Reads the values of several keys
#[utoipa::path(post, path = "/cache/batch/get", tag = "cache", extensions(("x-reads" = json!(true))), params(Database), request_body = Keys,
    responses((status = 200, description = "The values", body = Entries)))]
async fn get_batch(
    State(context): State<Context>,
    Query(database): Query<Database>,
    room: Room,
    Json(asked): Json<Keys>,
) -> Result<Response, Problem> {
    bound(asked.keys.len(), "keys")?;
    let names: Vec<&[u8]> = asked.keys.iter().map(String::as_bytes).collect();
    let found: Vec<Option<OutputValue>> = context
        .read(database.number(&context)?, &names, |visit| {
            let mut bytes = 0;
            let mut found = Vec::with_capacity(names.len());
            for name in &names {
                let key = visit.key(name);
                let store = visit.keyspace.store();
                let value = visit.keyspace.read(&key).and_then(|entry| OutputValue::of(store, entry).ok());
                bytes += value.as_ref().map_or(0, |value| value.bytes.len());
                if bytes > VALUES_BYTES_MAX {
                    let allowed = format!("values of {VALUES_BYTES_MAX} bytes in one response");
                    return Err(Problem::invalid("keys", allowed));
                }
                found.push(value);
            }
            Ok(found)
        })
        .await??;
    room.admit(found.iter().flatten().map(|value| value.bytes.len()).sum())?;
    let mut document = Document::default();
    document.text(b"{\"entries\":[");
    for (number, (key, found)) in names.iter().zip(&found).enumerate() {
        document.text(if number == 0 { b"" } else { b"," });
        write_slot(&mut document, key, found.as_ref());
    }
    document.text(b"]}");
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], document.into_body()).into_response())
}

/// Writes the value of a key.
fn write_slot(document: &mut Document, key: &[u8], found: Option<&OutputValue>) {
    match found {
        Some(found) => {
            document.text(b"{\"found\":true,");
            representations::write_json(document, key, found);
        }
        None => {
            document.text(b"{\"found\":false,");
            document.short_member("key", "key_encoding", key);
        }
    }
    document.text(b"}");
}

/// Writes several keys
///
/// Writes all keys at once, or none if one entry is wrong.
#[utoipa::path(post, path = "/cache/batch/set", tag = "cache", params(Database, ConditionHeaders), request_body = NewEntries,
    responses((status = 200, description = "All keys are written", body = BatchWritten),
        (status = 507, description = "The memory for data is used up", body = ProblemBody, content_type = "application/problem+json")))]
async fn set_batch(
    State(context): State<Context>,
    Query(database): Query<Database>,
    conditions: Conditions,
    Json(new): Json<NewEntries>,
) -> Result<Json<BatchWritten>, Problem> {
    bound(new.entries.len(), "entries")?;
    let mut stored = Vec::with_capacity(new.entries.len());
    for (number, entry) in new.entries.iter().enumerate() {
        let value = InputValue::from_json(&entry.value, entry.encoding, &format!("entries[{number}]."))?;
        stored.push(value.within(&context)?);
    }
    let names: Vec<&[u8]> = new.entries.iter().map(|entry| entry.key.as_bytes()).collect();
    context
        .write(database.number(&context)?, &names, |visit| {
            let now = visit.now();
            let lifetimes: Vec<_> = new
                .entries
                .iter()
                .enumerate()
                .map(|(number, entry)| lifetime(entry.ttl, now, &format!("entries[{number}].ttl")))
                .collect::<Result<_, _>>()?;
            // A batch has no value of its own, so it has no tag.
            conditions.allow_writing(None)?;
            for name in &names {
                let key = visit.key(name);
                if visit.keyspace.contains(&key) && new.if_absent {
                    return Err(Problem::new(problems::KEY_EXISTS).with("key", String::from_utf8_lossy(name)));
                }
            }
            for ((name, stored), lifetime) in names.iter().zip(stored).zip(lifetimes) {
                let key = visit.key(name);
                stored.write(&mut visit.keyspace, &key, lifetime);
            }
            Ok(Json(BatchWritten { written: names.len() }))
        })
        .await?
}

fn bound(count: usize, field: &str) -> Result<(), Problem> {
    if count > KEYS_MAX {
        return Err(Problem::invalid(field, format!("at most {KEYS_MAX} items")));
    }
    Ok(())
}
