//! GET /locks/{resource}/events: what happens to a resource, as server-sent events.

use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Interval, interval};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::endpoint::{Context, OpenApiRouter, PathBytes, Problem, ProblemBody, State, problems, routes};
use crate::lock::{Watch, WatchedEvent};

/// How often a comment is sent to a stream on which nothing happens, so that who is between lets it live.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
        keep_alive: interval(KEEP_ALIVE),
        stopping: Box::pin(context.stopping().clone().cancelled_owned()),
    };
    let headers = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, NO_STORE)];
    Ok((headers, Body::new(stream)).into_response())
}

/// The body of the response.
struct EventStream {
    watch: Watch,
    keep_alive: Interval,
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
        // The first tick comes at once, so that the client learns that it is heard.
        self.keep_alive.poll_tick(task).map(|_| Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
    }
}

/// JSON has no line ends, so one line of data is enough.
fn encoded(event: &WatchedEvent) -> Bytes {
    [b"event: ", event.word.as_bytes(), b"\ndata: ", &event.payload, b"\n\n"].concat().into()
}
