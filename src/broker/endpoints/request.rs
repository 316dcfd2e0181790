//! POST /request: a message, and the first answer to it.

use std::future::poll_fn;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Deserialize;
use tokio::time::timeout;

use super::frames::Delivered;
use super::headers::headers_of;
use super::inbox::Inbox;
use super::publish::Content;
use super::{problem_of, publish_all};
use crate::broker::subjects::check_subject;
use crate::command::Services;
use crate::delivery::{Effects, Message};
use crate::http::endpoint::{
    Context, OpenApiRouter, PathText, Problem, Query, Rights, State, problems, routes,
};

/// Seconds that a request waits by default.
const TIMEOUT: f64 = 5.0;

/// The shortest and the longest time to wait, in seconds.
const TIMEOUT_MIN: f64 = 0.001;
const TIMEOUT_MAX: f64 = 300.0;

/// The type of an answer that does not say its own.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An answer is for one request.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(request))
}

/// How long to wait for the answer.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Seconds to wait for the answer.
    #[serde(default = "default_timeout")]
    #[param(minimum = 0.001, maximum = 300, default = 5)]
    timeout: f64,
}

fn default_timeout() -> f64 {
    TIMEOUT
}

impl Waiting {
    fn time(&self) -> Result<Duration, Problem> {
        if (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&self.timeout) {
            return Ok(Duration::from_secs_f64(self.timeout));
        }
        let allowed = format!("a number of seconds from {TIMEOUT_MIN} to {TIMEOUT_MAX}");
        Err(Problem::invalid("timeout", allowed))
    }
}

/// Asks and waits for the answer
///
/// Publishes the body as `POST /publish/{subject}` does, with a private reply subject, and returns the first message that is
/// published on that.  The response has its payload, its `Content-Type` and those of its headers that pass the other way:
/// `Nats-*`, `X-*`, `ce-*` and the headers of tracing.  Without a subscriber the response is 503 at once.
#[utoipa::path(post, path = "/request/{subject}", tag = "broker", extensions(("x-takes-users" = json!(true))),
    params(("subject" = String, Path, description = "The subject, percent-encoded", example = "time.now"), Waiting),
    request_body(content((String = "application/octet-stream", example = "utc"))),
    responses((status = 200, description = "The answer", body = String, content_type = "application/octet-stream",
            example = "2026-01-01T00:00:00Z"),
        (status = 503, description = "Nobody is subscribed to the subject, or the server is stopping",
            body = crate::http::endpoint::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer came in time",
            body = crate::http::endpoint::ProblemBody, content_type = "application/problem+json")))]
async fn request(
    State(context): State<Context>,
    PathText(subject): PathText,
    Query(waiting): Query<Waiting>,
    rights: Rights,
    request: Request,
) -> Result<Response, Problem> {
    check_subject(subject.as_bytes()).map_err(|refused| problem_of(refused, "subject"))?;
    rights.check_publish(&subject)?;
    let time = waiting.time()?;
    let content = Content::read(&context, request).await?;
    let mut inbox = Inbox::open(&context)?;
    let message = content.message(subject.as_bytes(), inbox.subject().as_bytes());
    let publish = |services: &Services, message: &Message<'_>, effects: &mut Effects| {
        services.fan_out.publish(message, effects)
    };
    if publish_all(&context, [message], publish).await[0].are_none() {
        let detail = format!("nobody is subscribed to {subject}");
        return Err(Problem::new(problems::NO_RESPONDERS).detail(detail));
    }
    drop(content);
    let answer = timeout(time, poll_fn(|task| inbox.poll(task.waker())));
    match context.wait_for(answer).await? {
        Ok(answer) => answer.map(response),
        Err(_) => Err(Problem::new(problems::NO_ANSWER)
            .detail(format!("no answer came within {} seconds", waiting.timeout))),
    }
}

fn response(answer: Delivered) -> Response {
    let headers = headers_of(&answer.headers);
    let mut response = Response::new(Body::from(answer.payload));
    *response.headers_mut() = headers;
    response.headers_mut().entry(header::CONTENT_TYPE).or_insert(OCTETS);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}
