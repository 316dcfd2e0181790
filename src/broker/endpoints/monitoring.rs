//! /varz, /connz, /subsz, /jsz and /healthz, as nats-top and dashboards ask nats-server for them.
//!
//! Parameters that mean nothing here are passed over, as nats-server does, since programs send them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::broker::monitoring::{
    ConnectionOrder, ConnectionState, ConnectionsPage, ConnectionsQuery, LIMIT, ServerPage, StreamsPage,
    StreamsQuery, SubscriptionsPage, SubscriptionsQuery, SubscriptionsShown,
};
use crate::http::endpoint::{
    Context, OpenApiRouter, Problem, Query, State, json_with_status, media_type, routes,
};

/// Most connections or subscriptions on a page, whatever the request says.
const LIMIT_MAX: usize = 10_000;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(server))
        .routes(routes!(connections))
        .routes(routes!(subscriptions))
        .routes(routes!(streams))
        .routes(routes!(health))
}

/// Tells of the server and its totals
///
/// In the shape of nats-server's `/varz`.  The totals are those of all listeners.
#[utoipa::path(get, path = "/varz", tag = "monitoring",
    responses((status = 200, description = "The server", body = serde_json::Value,
        example = json!({"server_name": "quartet", "connections": 2, "in_msgs": 10, "out_msgs": 30}))))]
async fn server(State(context): State<Context>) -> Response {
    page(&ServerPage::new(context.services(), context.now()))
}

/// Which connections to show.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Connections {
    /// `1` lists the subjects of each, `detail` everything about its subscriptions.
    #[serde(default)]
    #[param(example = "1")]
    subs: String,
    /// Connections to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most connections to show; never more than 10000.
    #[serde(default)]
    #[param(default = 1024)]
    limit: usize,
    /// The order: cid, start, subs, pending, msgs_to, msgs_from, bytes_to, bytes_from, last, idle, uptime, rtt, or, of those
    /// that have gone, stop and reason.
    #[serde(default)]
    #[param(example = "msgs_to")]
    sort: String,
    /// Only the connection with this number.
    #[serde(default)]
    #[param(format = "uint64")]
    cid: Option<u64>,
    /// `open`, `closed` (the last thousand) or `any`.
    #[serde(default)]
    #[param(example = "open")]
    state: String,
    /// `1` shows as whom each has authenticated.
    #[serde(default)]
    auth: String,
}

impl Connections {
    fn query(&self) -> Result<ConnectionsQuery, Problem> {
        let state = match self.state.to_ascii_lowercase().as_str() {
            "" | "open" => ConnectionState::Open,
            "closed" => ConnectionState::Closed,
            "any" | "all" => ConnectionState::Any,
            _ => return Err(Problem::invalid("state", "one of open, closed and any")),
        };
        let allowed = || format!("one of {}", ConnectionOrder::WORDS.join(", "));
        let order = ConnectionOrder::of(&self.sort).ok_or_else(|| Problem::invalid("sort", allowed()))?;
        if order.is_of_closed() && state != ConnectionState::Closed {
            return Err(Problem::invalid("sort", format!("{} only with state=closed", self.sort)));
        }
        let subscriptions = match self.subs.as_str() {
            "detail" => SubscriptionsShown::Details,
            text if flag("subs", text)? => SubscriptionsShown::Subjects,
            _ => SubscriptionsShown::Number,
        };
        Ok(ConnectionsQuery {
            number: self.cid,
            state,
            order,
            subscriptions,
            users: flag("auth", &self.auth)?,
            offset: self.offset,
            limit: limit(self.limit),
        })
    }
}

/// Lists connections
///
/// In the shape of nats-server's `/connz`: those to the broker's port and those of WebSockets.  CLIENT LIST shows those of RESP
/// too.
#[utoipa::path(get, path = "/connz", tag = "monitoring", params(Connections),
    responses((status = 200, description = "The connections", body = serde_json::Value,
        example = json!({"num_connections": 1, "connections": [{"cid": 5, "name": "ann", "subscriptions": 2}]}))))]
async fn connections(
    State(context): State<Context>,
    Query(connections): Query<Connections>,
) -> Result<Response, Problem> {
    let query = connections.query()?;
    Ok(page(&ConnectionsPage::new(context.services(), &query, context.now())))
}

/// Which subscriptions to show.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Subscriptions {
    /// `1` lists subscriptions.
    #[serde(default)]
    #[param(example = "1")]
    subs: String,
    /// Only those that match this subject.
    #[serde(default)]
    #[param(example = "news.eu")]
    test: Option<String>,
    /// Subscriptions to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most subscriptions to list; never more than 10000.
    #[serde(default)]
    #[param(default = 1024)]
    limit: usize,
}

/// Counts subscriptions
///
/// In the shape of nats-server's `/subsz`, with the subscriptions of all listeners.
#[utoipa::path(get, path = "/subsz", tag = "monitoring", params(Subscriptions),
    responses((status = 200, description = "The subscriptions", body = serde_json::Value,
        example = json!({"num_subscriptions": 2, "num_matches": 10, "max_fanout": 2}))))]
async fn subscriptions(
    State(context): State<Context>,
    Query(subscriptions): Query<Subscriptions>,
) -> Result<Response, Problem> {
    let query = SubscriptionsQuery {
        lists: flag("subs", &subscriptions.subs)?,
        subject: subscriptions.test.filter(|subject| !subject.is_empty()),
        offset: subscriptions.offset,
        limit: limit(subscriptions.limit),
    };
    Ok(page(&SubscriptionsPage::new(context.services(), &query, context.now())))
}

/// What to show of streams.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Streams {
    /// Only this account; there is one, `$G`.
    #[serde(default)]
    #[param(example = "$G")]
    acc: Option<String>,
    /// `1` shows accounts.
    #[serde(default)]
    accounts: String,
    /// `1` shows the streams of accounts.
    #[serde(default)]
    #[param(example = "1")]
    streams: String,
    /// `1` shows the consumers of streams.
    #[serde(default)]
    consumers: String,
    /// `1` shows the definitions of streams and consumers.
    #[serde(default)]
    config: String,
    /// Accounts to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most accounts to show, which is more than there are.
    #[serde(default, rename = "limit")]
    #[param(default = 1024)]
    _limit: usize,
}

/// Reports on the streams
///
/// In the shape of nats-server's `/jsz`.
#[utoipa::path(get, path = "/jsz", tag = "monitoring", params(Streams),
    responses((status = 200, description = "The streams", body = serde_json::Value,
        example = json!({"streams": 2, "consumers": 1, "messages": 10, "bytes": 1000}))))]
async fn streams(
    State(context): State<Context>,
    Query(streams): Query<Streams>,
) -> Result<Response, Problem> {
    let query = StreamsQuery {
        account: streams.acc.filter(|account| !account.is_empty()),
        accounts: flag("accounts", &streams.accounts)?,
        streams: flag("streams", &streams.streams)?,
        consumers: flag("consumers", &streams.consumers)?,
        config: flag("config", &streams.config)?,
        offset: streams.offset,
    };
    Ok(page(&StreamsPage::new(context.services(), &query, context.now())))
}

/// Whether the server works.
#[derive(Serialize, utoipa::ToSchema)]
struct Healthiness {
    /// `ok` or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The fault, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    error: Option<String>,
}

/// Tells whether the server works
///
/// In the shape of nats-server's `/healthz`.  `/health/ready` says more, and says it without the password.
#[utoipa::path(get, path = "/healthz", tag = "monitoring",
    responses((status = 200, description = "It works", body = Healthiness),
        (status = 503, description = "It does not, or is about to stop", body = Healthiness)))]
async fn health(State(context): State<Context>) -> Response {
    let services = context.services();
    let checks = services.rows.iter().filter_map(|service| Some((service.name, service.health?)));
    let mut faults = checks.filter_map(|(name, check)| Some(format!("{name}: {}", check(services).err()?)));
    let ending = services.announcement.is_ending().then(|| "the server is about to stop".to_owned());
    match faults.next().or(ending) {
        None => json_with_status(StatusCode::OK, Healthiness { status: "ok", error: None }),
        error => {
            json_with_status(StatusCode::SERVICE_UNAVAILABLE, Healthiness { status: "unavailable", error })
        }
    }
}

/// A page as nats-server lays it out, for people too.
fn page(page: &impl Serialize) -> Response {
    let media_type = HeaderValue::from_static(media_type::JSON);
    let text = serde_json::to_string_pretty(page).expect("it holds nothing that JSON cannot say");
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

/// A switch as Go reads it; nothing stands for off.
fn flag(field: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Problem::invalid(field, "1 or 0")),
    }
}

/// Most entries of a page.
fn limit(asked: usize) -> usize {
    if asked == 0 { LIMIT } else { asked.min(LIMIT_MAX) }
}
