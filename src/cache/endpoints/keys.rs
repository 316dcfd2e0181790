//! All keys: listed, and removed.

use std::ops::ControlFlow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::conditions::{ConditionHeaders, Conditions};
use super::database::existing;
use crate::cache::commands::prefixes::{self, remove_step};
use crate::cache::commands::walk::{Cursor, walk_while};
use crate::glob::Pattern;
use crate::http::endpoint::{Context, Json, OpenApiRouter, Problem, Query, QueryBytes, State, routes};

/// Keys that a response looks at unless the client asks for more or fewer.
const COUNT: usize = 100;

/// Most of them that a client may ask for.
const COUNT_MAX: usize = 10_000;

/// Bytes of keys at which a response ends early.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Which keys to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// A pattern as with SCAN: `*`, `?`, `[a-z]`, and `\` before a character that stands for itself.
    #[param(value_type = String, required = false)]
    r#match: Option<QueryBytes>,
    /// The `cursor` of the previous page.
    #[param(value_type = u64, required = false)]
    cursor: Option<u64>,
    /// About how many keys to look at.  A page may have fewer keys, or none, before the end.
    #[param(minimum = 1, maximum = 10000, value_type = u64, required = false)]
    count: Option<usize>,
    /// The number of the database, as in SELECT; 0 by default.
    #[param(minimum = 0, value_type = u64, required = false)]
    db: Option<usize>,
}

/// One page of keys.
#[derive(Serialize, utoipa::ToSchema)]
struct KeyPage {
    /// The keys.
    keys: Vec<String>,
    /// Keys that are not UTF-8, in base64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    keys_base64: Vec<String>,
    /// The cursor of the next page; null at the end.
    cursor: Option<u64>,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_keys, remove_keys))
}

/// Lists the keys of a database, page by page
///
/// A key that exists the whole time is listed at least once.  A key that is added or removed meanwhile may be listed.
#[utoipa::path(get, path = "/cache", tag = "cache", params(Listing),
    responses((status = 200, description = "A page of keys", body = KeyPage)))]
async fn list_keys(
    State(context): State<Context>,
    Query(listing): Query<Listing>,
) -> Result<Json<KeyPage>, Problem> {
    let database = existing(listing.db, &context)?;
    let count = listing.count.unwrap_or(COUNT);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(Problem::invalid("count", format!("an integer from 1 to {COUNT_MAX}")));
    }
    let cursor = listing.cursor.unwrap_or(0);
    if i64::try_from(cursor).is_err() {
        return Err(Problem::invalid("cursor", "what the response before this one said"));
    }
    let pattern = listing.r#match.as_deref().map(Pattern::new).transpose()?;
    let mut page = KeyPage { keys: Vec::new(), keys_base64: Vec::new(), cursor: None };
    let (start, mut bytes) = (Cursor::from_number(cursor), 0);
    let next = context.walk(database, |visit| {
        walk_while(&mut visit.keyspace, start, count, |entry| {
            let key = entry.key();
            if pattern.as_ref().is_some_and(|pattern| !pattern.matches(key)) {
                return ControlFlow::Continue(());
            }
            bytes += key.len();
            match std::str::from_utf8(key) {
                Ok(key) => page.keys.push(key.to_owned()),
                Err(_) => page.keys_base64.push(STANDARD.encode(key)),
            }
            if bytes < PAGE_BYTES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    });
    let next = next.await?;
    page.cursor = Some(next.number()).filter(|&cursor| cursor > 0);
    Ok(Json(page))
}

/// Which keys to remove.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Removal {
    /// Remove only keys that begin with this.
    #[param(value_type = String, required = false)]
    prefix: Option<QueryBytes>,
    /// The number of the database, as in SELECT; 0 by default.
    #[param(minimum = 0, value_type = u64, required = false)]
    db: Option<usize>,
}

/// How many keys were removed.
#[derive(Serialize, utoipa::ToSchema)]
struct Removed {
    /// How many.
    removed: usize,
}

/// Removes all keys of a database, or those with a prefix
///
/// Without a prefix it removes all keys at once.  Keys with a prefix are removed in steps, and other requests run in between;
/// keys that are added meanwhile may stay.
#[utoipa::path(delete, path = "/cache", tag = "cache", params(Removal, ConditionHeaders),
    responses((status = 204, description = "All keys are removed"),
        (status = 200, description = "The keys with the prefix are removed", body = Removed)))]
async fn remove_keys(
    State(context): State<Context>,
    Query(removal): Query<Removal>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let database = existing(removal.db, &context)?;
    // A database has no tag.
    conditions.allow_writing(None)?;
    if let Some(prefix) = removal.prefix {
        if prefix.is_empty() {
            return Err(Problem::invalid("prefix", "one byte at least; without it all keys are removed"));
        }
        let removed = remove_with_prefix(&context, database, &prefix).await?;
        return Ok(Json(Removed { removed }).into_response());
    }
    context
        .exclusive(database, move |visit| {
            let (mut contents, mut bytes) = (Vec::new(), 0);
            visit.keyspace.for_each_shard(database, |shard, _| {
                bytes += shard.memory();
                contents.push(shard.clear());
            });
            visit.effects.discard(contents, bytes);
        })
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove_with_prefix(context: &Context, database: usize, prefix: &[u8]) -> Result<usize, Problem> {
    let start = Cursor::from_number(0);
    let (mut cursor, mut removed) = (start, 0);
    loop {
        let (next, count) = context
            .walk(database, |visit| remove_step(&mut visit.keyspace, cursor, prefix, prefixes::STEP))
            .await?;
        removed += count;
        if next.number() == start.number() {
            return Ok(removed);
        }
        cursor = next;
        tokio::task::yield_now().await;
    }
}
