//! GET /subscribe: the messages of subjects, as they are published.

use axum::response::Response;
use quartet_protocol::broker::subject;
use serde::Deserialize;

use crate::delivery::{Encoding, Feed, SubscriptionOptions, Topic};
use crate::http::endpoint::stream::{KEEP_ALIVE_MAX, StreamForm, stream};
use crate::http::endpoint::{
    Accept, Context, OpenApiRouter, PathText, Problem, Query, State, problems, routes,
};
use crate::settings::SlowConsumer;

/// Most subjects and patterns of one feed.
const PATTERNS_MAX: usize = 100;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(subscribe)).routes(routes!(subscribe_to_named))
}

/// How to subscribe.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Subscribing {
    /// A further subject or pattern, which may have commas in it.  May be repeated.
    #[serde(default)]
    #[param(example = json!(["news.eu"]))]
    subject: Vec<String>,
    /// A queue group: each message goes to one of its members, on whatever listener they are.
    #[param(example = "workers")]
    group: Option<String>,
    /// The reader's name, which the list of subscribers shows.
    #[param(example = "ann", max_length = 100)]
    name: Option<String>,
    /// What happens if the feed is read too slowly: `disconnect` ends it; with `drop-oldest`, `drop-newest` and
    /// `keep-latest` (of each subject) messages are missed, and a gap says how many.  By default as the setting
    /// `broker-slow-consumer` says.
    #[serde(rename = "slow-consumer")]
    #[param(example = "drop-oldest")]
    slow_consumer: Option<String>,
}

impl Subscribing {
    fn options(&self, context: &Context) -> Result<SubscriptionOptions, Problem> {
        if let Some(group) =
            self.group.as_deref().filter(|group| !subject::is_valid_subject(group.as_bytes()))
        {
            let detail = format!("{} is no name of a group", group.escape_debug());
            return Err(Problem::invalid("group", "a name without blanks").detail(detail));
        }
        let policy = |word: &String| {
            let place = SlowConsumer::WORDS.iter().position(|known| known == word);
            let allowed = || format!("one of {}", SlowConsumer::WORDS.join(", "));
            place
                .map(|place| SlowConsumer::ALL[place])
                .ok_or_else(|| Problem::invalid("slow-consumer", allowed()))
        };
        Ok(SubscriptionOptions {
            group: self.group.as_ref().map(|group| group.as_bytes().into()),
            slow_consumer: Some(match &self.slow_consumer {
                Some(word) => policy(word)?,
                None => context.services().settings.current().broker_slow_consumer,
            }),
            ..SubscriptionOptions::default()
        })
    }
}

/// Feeds a client with the messages of subjects
///
/// `{pattern}` is a subject, or a pattern in which `*` stands for one token and `>` at the end for all that follow; several
/// are separated by commas.  Hidden subjects (`$...`, `_INBOX.`) match only if the pattern names their beginning.  The feed
/// goes on until the client leaves, the server stops, or it is read too slowly.  A page that needs a password takes a
/// ticket for its EventSource: `POST /tickets`.
///
/// As server-sent events, which are the default: `event: message` with a JSON object (`subject`, the payload as `payload` or
/// `base64`, `reply` and `headers` if there are any), `event: gap` with the number of missed messages, and comments as
/// heartbeats.  With `Accept: application/x-ndjson` the same objects on lines of their own; a gap has `"op": "gap"` and a
/// heartbeat is `{"op": "heartbeat"}`.  The first heartbeat comes at once, when the subscription stands.
#[utoipa::path(get, path = "/subscribe/{pattern}", tag = "broker",
    extensions(("x-takes-ticket" = json!(true)), ("x-taken-by" = json!("clients"))),
    params(("pattern" = String, Path, description = "Subjects and patterns, separated by commas", example = "news.>"),
        Subscribing),
    responses((status = 200, description = "The messages from now on", content(
        (String = "text/event-stream",
            example = "event: message\ndata: {\"subject\":\"news.eu\",\"payload\":\"hello\"}\n\n"),
        (String = "application/x-ndjson", example = "{\"subject\":\"news.eu\",\"payload\":\"hello\"}\n")))))]
async fn subscribe(
    State(context): State<Context>,
    PathText(patterns): PathText,
    accept: Accept,
    Query(subscribing): Query<Subscribing>,
) -> Result<Response, Problem> {
    open(&context, patterns.split(','), &accept, &subscribing)
}

/// Feeds a client with the messages of the subjects in the query
///
/// As `GET /subscribe/{pattern}`, with every subject in a parameter of its own.
#[utoipa::path(get, path = "/subscribe", tag = "broker", params(Subscribing),
    extensions(("x-takes-ticket" = json!(true)), ("x-taken-by" = json!("clients"))),
    responses((status = 200, description = "The messages from now on", content(
        (String = "text/event-stream"), (String = "application/x-ndjson")))))]
async fn subscribe_to_named(
    State(context): State<Context>,
    accept: Accept,
    Query(subscribing): Query<Subscribing>,
) -> Result<Response, Problem> {
    open(&context, std::iter::empty(), &accept, &subscribing)
}

fn open<'p>(
    context: &Context,
    patterns: impl Iterator<Item = &'p str>,
    accept: &Accept,
    subscribing: &'p Subscribing,
) -> Result<Response, Problem> {
    let forms = [StreamForm::Events, StreamForm::JsonLines].map(|form| (form.media_type(), form));
    let form = accept.choose(forms, |_| true).ok_or_else(|| {
        Problem::new(problems::NOT_ACCEPTABLE).detail("there are text/event-stream and application/x-ndjson")
    })?;
    let mut patterns: Vec<&str> = patterns.chain(subscribing.subject.iter().map(String::as_str)).collect();
    patterns.sort_unstable();
    patterns.dedup();
    if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
        return Err(Problem::invalid("subject", format!("1 to {PATTERNS_MAX} subjects and patterns")));
    }
    let topics = patterns.into_iter().map(topic).collect::<Result<Vec<_>, _>>()?;
    let options = subscribing.options(context)?;
    let encoding = match form {
        StreamForm::Events => Encoding::MessageEvent,
        StreamForm::JsonLines => Encoding::JsonLine,
    };
    let messages =
        Feed::open(&context.services().fan_out, topics, encoding, &options, subscribing.name.as_deref())
            .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
    Ok(stream(context, form, messages, KEEP_ALIVE_MAX))
}

/// A pattern; a text without wildcards that is no subject stands for itself, since channels of RESP may be any text.
fn topic(text: &str) -> Result<Topic, Problem> {
    if subject::is_valid_pattern(text.as_bytes()) {
        return Ok(Topic::of_pattern(text.as_bytes()));
    }
    if text.is_empty() || subject::has_wildcard(text.as_bytes()) {
        let allowed =
            "tokens between full stops, where `*` is one token and `>` at the end is all that follow";
        return Err(
            Problem::invalid("subject", allowed).detail(format!("{} is no pattern", text.escape_debug()))
        );
    }
    Ok(Topic::exact(text.as_bytes()))
}
