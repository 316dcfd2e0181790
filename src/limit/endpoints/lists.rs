//! The lists that hold under every policy: keys that are never limited, and keys that are always refused.

use axum::http::StatusCode;
use serde::Serialize;

use super::change;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathParts, Problem, State, problems, routes, text_or_base64,
};
use crate::limit::lists::ListName;
use crate::limit::operation::Change;

/// A pattern on a list.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ListedPattern)]
struct Shown {
    /// The pattern.
    pattern: String,
    /// Present if the pattern is not UTF-8 and is written in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pattern_encoding: Option<&'static str>,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(patterns)).routes(routes!(put_pattern, delete_pattern))
}

/// Shows a list
#[utoipa::path(get, path = "/lists/{list}", tag = "limits",
    params(("list" = String, Path, description = "`allow`: keys that are never limited; `deny`: keys that are always refused")),
    responses((status = 200, description = "The patterns, the oldest first", body = Vec<Shown>)))]
async fn patterns(
    State(context): State<Context>,
    PathParts([list]): PathParts<1>,
) -> Result<Json<Vec<Shown>>, Problem> {
    let patterns = context.services().limits.lists.patterns(named(&list)?);
    let shown = patterns.iter().map(|pattern| {
        let (pattern, pattern_encoding) = text_or_base64(pattern);
        Shown { pattern, pattern_encoding }
    });
    Ok(Json(shown.collect()))
}

/// Puts a pattern on a list
///
/// An address, a network (`10.0.0.0/8`, with the slash as `%2F`), or else a pattern with `*`, `?` and `[a-z]`.
#[utoipa::path(put, path = "/lists/{list}/{pattern}", tag = "limits",
    params(("list" = String, Path, description = "`allow` or `deny`"),
        ("pattern" = String, Path, description = "The pattern, percent-encoded")),
    responses((status = 201, description = "The pattern is on the list"),
        (status = 204, description = "The pattern was on the list already")))]
async fn put_pattern(
    State(context): State<Context>,
    PathParts([list, pattern]): PathParts<2>,
) -> Result<StatusCode, Problem> {
    let list = named(&list)?;
    let added = change(&context, Change::AddPattern { list, pattern: &pattern }).await?;
    Ok(if added > 0 { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

/// Takes a pattern off a list
#[utoipa::path(delete, path = "/lists/{list}/{pattern}", tag = "limits",
    params(("list" = String, Path, description = "`allow` or `deny`"),
        ("pattern" = String, Path, description = "The pattern, percent-encoded")),
    responses((status = 204, description = "The pattern is off the list")))]
async fn delete_pattern(
    State(context): State<Context>,
    PathParts([list, pattern]): PathParts<2>,
) -> Result<StatusCode, Problem> {
    let list = named(&list)?;
    if change(&context, Change::RemovePattern { list, pattern: &pattern }).await? > 0 {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(problems::NO_SUCH_PATTERN))
}

fn named(list: &[u8]) -> Result<ListName, Problem> {
    match list {
        b"allow" => Ok(ListName::Allow),
        b"deny" => Ok(ListName::Deny),
        _ => Err(Problem::invalid("list", "allow or deny")),
    }
}
