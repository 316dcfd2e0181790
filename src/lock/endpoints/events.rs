//! GET /locks/{resource}/events: what happens to a resource, as server-sent events.

use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::endpoint::{Context, OpenApiRouter, PathBytes, Problem, ProblemBody, State, problems, routes};
use crate::lock::{Watch, WatchedEvent};

/// How often a comment is sent to a stream at least, so that proxies in between let it live.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(15);

/// Comments in the time after which idle connections are closed.
const COMMENTS: u32 = 3;

/// Tells nginx to pass on each event as it comes, instead of gathering them.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happens to a resource
///
/// A stream of server-sent events (acquired, released, expired, forced, contended, lost, deadlock), each with a JSON
/// object.  It ends when the server stops, or when the client is behind by more than a thousand events.
#[utoipa::path(get, path = "/locks/{resource}/events", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded")),
    responses((status = 200, description = "The events from now on", body = String, content_type = "text/event-stream"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn events(State(context): State<Context>, PathBytes(name): PathBytes) -> Result<Response, Problem> {
    let watch = context.services().lock_watchers.watch(&name);
    let watch = watch.ok_or_else(|| {
        Problem::new(problems::TOO_MANY_LOCKS).detail("too many streams of events are open")
    })?;
    let stream = EventStream {
        watch,
        // The first comment comes at once, so that the client learns that it is heard.
        comment_at: Box::pin(sleep(Duration::ZERO)),
        context: context.clone(),
        stopping: Box::pin(context.stopping().clone().cancelled_owned()),
    };
    let headers =
        [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, NO_STORE), (X_ACCEL_BUFFERING, NO)];
    Ok((headers, Body::new(stream)).into_response())
}

/// The body of the response.
struct EventStream {
    watch: Watch,
    comment_at: Pin<Box<Sleep>>,
    context: Context,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.stopping.as_mut().poll(task).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(next) = self.watch.poll_next(task.waker()) {
            return Poll::Ready(next.map(|event| Ok(Frame::data(encoded(&event)))));
        }
        ready!(self.comment_at.as_mut().poll(task));
        let idle = self.context.services().settings.http_idle_timeout();
        self.comment_at = Box::pin(sleep(KEEP_ALIVE_MAX.min(idle / COMMENTS)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
    }
}

/// JSON has no line ends, so one line of data is enough.
fn encoded(event: &WatchedEvent) -> Bytes {
    [b"event: ", event.word.as_bytes(), b"\ndata: ", &event.payload, b"\n\n"].concat().into()
}
