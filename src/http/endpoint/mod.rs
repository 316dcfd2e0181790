//! The parts of HTTP endpoints.  A service's `endpoints` are for the HTTP door as its `commands` are for RESP.
//!
//! An endpoint is a function with its documentation beside it, and one line in the service's list:
//!
//! ```text
//! /// How long a key lives on.
//! #[utoipa::path(get, path = "/cache/{key}/ttl", tag = "cache",
//!     params(("key" = String, Path, description = "The key, percent-encoded")),
//!     responses((status = 200, body = Remaining)))]
//! async fn remaining(State(context): State<Context>, PathBytes(key): PathBytes) -> Result<Json<Remaining>, Problem> {
//!     context.read(0, &[&key], |visit| {
//!         let key = visit.key(&key);
//!         let entry = visit.keyspace.inspect(&key).ok_or_else(|| Problem::new(problems::NO_SUCH_KEY))?;
//!         Ok(Json(Remaining::of(entry, visit.now())))
//!     }).await?
//! }
//!
//! pub fn endpoints() -> OpenApiRouter<Context> {
//!     OpenApiRouter::new().routes(routes!(remaining))
//! }
//! ```
//!
//! Methods of one path share one `routes!(get_it, put_it)`.  `http::openapi` merges the lists of all services, and adds the
//! response with a problem to every operation.
//!
//! * Bodies come as [`Json`] or [`Body`], parameters as [`Query`] (mark their types `#[serde(deny_unknown_fields)]`; keys and
//!   names are [`QueryBytes`]), variable parts of the path as [`PathBytes`] or [`PathText`].  All of them answer problems
//!   themselves.
//! * An endpoint refuses a request with a [`Problem`] of a kind from [`problems`], where a new kind is a row.
//! * Inside [`Context::read`] and its sisters nothing can be awaited.  An endpoint waits between two of them, by
//!   [`Context::wait_for`] or [`on_disk`]; if its client leaves, it is dropped there.

mod accept;
mod body;
mod context;
mod fault;
mod json;
pub mod lists;
pub mod media_type;
mod path;
mod preferences;
mod problem;
pub mod problems;
mod query;
mod rights;
mod room;
pub mod runners;
pub mod stream;
mod value;
mod waiting;

/// The longest time to live that an endpoint takes, in seconds: a hundred years.
pub const TTL_SECONDS_MAX: u32 = 3_155_760_000;

pub use accept::Accept;
pub use body::{BODY_RATE_MIN, Body, BodyRefused, PIECE_LENGTH_MAX};
pub use context::{Context, Visit};
pub use json::{Json, json_with_status, may_be_json, parse, text_or_base64};
pub use path::{PathBytes, PathParts, PathText};
pub use preferences::Preferences;
pub use problem::{Problem, ProblemBody, ProblemResponse};
pub use query::{Query, QueryBytes};
pub use rights::Rights;
pub use room::{Crowded, Room, Unread};
pub use value::JsonText;
pub use waiting::on_disk;

pub use axum::extract::State;
pub use utoipa_axum::router::OpenApiRouter;
pub use utoipa_axum::routes;
