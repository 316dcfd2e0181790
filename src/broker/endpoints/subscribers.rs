//! GET /subjects/{subject}/subscribers: the subscriptions that get the messages of a subject.

use serde::{Deserialize, Serialize};

use super::problem_of;
use crate::broker::subjects::SubjectRefused;
use crate::delivery::{Subscription, Topic};
use crate::http::endpoint::{Context, Json, OpenApiRouter, PathText, Problem, Query, State, routes};

/// Most subscribers in one response.
const LISTED_MAX: usize = 1000;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(subscribers))
}

/// Which subscribers to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Subscribers to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most subscribers to list.
    #[serde(default = "listed_max")]
    #[param(maximum = 1000, default = 1000)]
    limit: usize,
}

fn listed_max() -> usize {
    LISTED_MAX
}

/// The subscribers of a subject.
#[derive(Serialize, utoipa::ToSchema)]
struct Subscribers {
    /// The subject.
    #[schema(example = "room.1")]
    subject: String,
    /// The number of subscriptions that match it, every member of a queue group among them.
    #[schema(example = 1)]
    count: usize,
    /// Some of them.
    subscribers: Vec<Subscriber>,
}

/// A subscription.
#[derive(Serialize, utoipa::ToSchema)]
struct Subscriber {
    /// The number of its client.  Feeds over HTTP are numbered by themselves.
    #[schema(example = 12)]
    client: u64,
    /// The listener that the client came by.
    #[schema(example = "broker")]
    listener: &'static str,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ann", required = false, nullable = false)]
    name: Option<String>,
    /// The address of the client; missing over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "127.0.0.1:50000", required = false, nullable = false)]
    address: Option<String>,
    /// The subject, wildcard or glob that it is subscribed to.
    #[schema(example = "room.*")]
    pattern: String,
    /// How the pattern is meant: `subject`, `wildcard` or `glob`, as in PSUBSCRIBE.
    #[schema(example = "wildcard")]
    kind: &'static str,
    /// Its queue group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "workers", required = false, nullable = false)]
    group: Option<String>,
    /// Messages that were sent to it.
    #[schema(example = 7)]
    delivered: u64,
    /// Messages of these that it was too slow for.
    #[schema(example = 0)]
    missed: u64,
}

impl Subscriber {
    fn of(subscription: &Subscription) -> Subscriber {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let receiver = subscription.outbox();
        Subscriber {
            client: receiver.id(),
            listener: receiver.listener().name(),
            name: receiver.name().map(|name| name.to_string()),
            address: receiver.client().map(|_| receiver.address().to_string()),
            pattern: text(subscription.topic().text()),
            kind: match subscription.topic() {
                Topic::Exact(_) => "subject",
                Topic::Wildcard(_) => "wildcard",
                Topic::Glob(..) => "glob",
            },
            group: subscription.options().group.as_deref().map(text),
            delivered: subscription.delivered(),
            missed: subscription.missed(),
        }
    }
}

/// Lists the subscribers of a subject
///
/// All subscriptions that get the messages of the subject, on every listener: those to the subject itself first, then those by
/// wildcards and globs.  Subscribers that come and go are announced on `$PRESENCE.` and the subject: `GET /subscribe/$PRESENCE.room.1`.
#[utoipa::path(get, path = "/subjects/{subject}/subscribers", tag = "broker",
    params(("subject" = String, Path, description = "The subject, percent-encoded", example = "room.1"), Part),
    responses((status = 200, description = "The subscribers", body = Subscribers)))]
async fn subscribers(
    State(context): State<Context>,
    PathText(subject): PathText,
    Query(Part { offset, limit }): Query<Part>,
) -> Result<Json<Subscribers>, Problem> {
    if subject.is_empty() || quartet_protocol::broker::subject::has_wildcard(subject.as_bytes()) {
        return Err(problem_of(SubjectRefused::Invalid, "subject"));
    }
    if limit > LISTED_MAX {
        return Err(Problem::invalid("limit", format!("at most {LISTED_MAX}")));
    }
    let found = context.services().fan_out.channels.subscribers_of(subject.as_bytes());
    let listed = found.iter().skip(offset).take(limit);
    let subscribers = listed.map(|subscription| Subscriber::of(subscription)).collect();
    Ok(Json(Subscribers { subject, count: found.len(), subscribers }))
}
