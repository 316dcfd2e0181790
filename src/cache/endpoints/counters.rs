//! Values as numbers: counted up and down.

use quartet_protocol::resp::number::{integer_text, parse_integer};
use serde::{Deserialize, Serialize};

use super::conditions::{ConditionHeaders, Conditions};
use super::database::Database;
use super::input_value::{BodyType, InputValue, lifetime};
use super::output_value::{JSON, OutputValue};
use crate::http::endpoint::{
    Body, Context, Json, OpenApiRouter, PathBytes, Problem, ProblemBody, Query, State, parse, problems,
    routes,
};
use crate::store::Lifetime;

/// One step of counting.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"by": 1}))]
struct Step {
    /// The amount to add; negative to count down.
    #[serde(default = "one")]
    by: i64,
    /// Seconds until the key expires, if this request creates it.  An existing key keeps its time to live.
    #[schema(minimum = 0.001, maximum = 3155760000.0)]
    ttl: Option<f64>,
}

impl Default for Step {
    fn default() -> Step {
        Step { by: one(), ttl: None }
    }
}

fn one() -> i64 {
    1
}

/// The result of counting.
#[derive(Serialize, utoipa::ToSchema)]
struct Sum {
    /// The new value.
    value: i64,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(increment))
}

/// Counts a value up or down
///
/// A missing key counts from 0.  Without a body, it counts up by 1.  If-Match and If-None-Match refer to the value before
/// the step.
#[utoipa::path(post, path = "/cache/{key}/incr", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database, ConditionHeaders),
    request_body = Option<Step>,
    responses((status = 200, description = "The new value", body = Sum),
        (status = 507, description = "The memory for data is used up", body = ProblemBody, content_type = "application/problem+json")))]
async fn increment(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
    conditions: Conditions,
    body_type: BodyType,
    Body(body): Body,
) -> Result<Json<Sum>, Problem> {
    let step = match body_type {
        BodyType::Object => parse::<Option<Step>>(&body)?.unwrap_or_default(),
        BodyType::Raw(_) => {
            return Err(Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail("send application/json"));
        }
    };
    context
        .write(database.number(&context)?, &[&key], |visit| {
            let key = visit.key(&key);
            let made_for = lifetime(step.ttl, visit.now(), "ttl")?;
            let store = visit.keyspace.store();
            let current = visit.keyspace.find(&key);
            conditions.allow_writing(current)?;
            let (old, content_type, lifetime) =
                match current.map(|entry| OutputValue::of(store, entry)).transpose()? {
                    Some(found) => {
                        let number = parse_integer(&found.bytes);
                        let number = number.ok_or_else(|| Problem::new(problems::NOT_AN_INTEGER))?;
                        (number, found.content_type, Lifetime::Keep)
                    }
                    None => (0, Some(JSON.into()), made_for),
                };
            let value = old
                .checked_add(step.by)
                .ok_or_else(|| Problem::new(problems::NOT_AN_INTEGER).detail("the sum is beyond 64 bits"))?;
            let stored = InputValue { bytes: integer_text(value).as_ref().to_vec().into(), content_type };
            stored.write(&mut visit.keyspace, &key, lifetime);
            Ok(Json(Sum { value }))
        })
        .await?
}
