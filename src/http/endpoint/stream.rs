//! Streams: responses that stay open until their source ends, their client leaves or the server stops.

use std::pin::Pin;
use std::task::{Context as Task, Poll, Waker, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::context::Context;
use super::media_type;
use crate::delivery;

/// How often a heartbeat is sent to a quiet stream at least, so that proxies in between let it live.
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(15);

/// Heartbeats in the time after which idle connections are closed.
const HEARTBEATS: u32 = 3;

/// Tells nginx to pass on each event as it comes, instead of gathering them.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The form of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamForm {
    /// Server-sent events; a heartbeat is a comment.
    Events,
    /// A JSON object per line; a heartbeat is an object too, which says that it is one.
    JsonLines,
}

impl StreamForm {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            StreamForm::Events => "text/event-stream",
            StreamForm::JsonLines => media_type::JSON_LINES,
        }
    }

    fn heartbeat(self) -> Bytes {
        Bytes::from_static(match self {
            StreamForm::Events => b":\n\n",
            StreamForm::JsonLines => b"{\"op\":\"heartbeat\"}\n",
        })
    }
}

/// The source of a stream's events.  It is dropped when the stream ends, whatever ended it.
pub trait EventSource: Send + Unpin + 'static {
    /// The next bytes, in the form of the stream; none at the end.  `waker` is woken when there may be more.
    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Bytes>>;

    /// Called before each heartbeat, so as long as the client reads.  Events that it leads to come from
    /// [`EventSource::poll_next`].
    fn keep_alive(&mut self) {}
}

/// The response that streams the events of `source`, with a heartbeat at least every `pause_max`.
pub fn stream(
    context: &Context,
    form: StreamForm,
    source: impl EventSource,
    pause_max: Duration,
) -> Response {
    let stream = EventStream {
        source,
        form,
        pause_max: pause_max.min(KEEP_ALIVE_MAX),
        // The first one comes at once, so that the client learns that it is heard.
        heartbeat_at: Box::pin(sleep(Duration::ZERO)),
        context: context.clone(),
        stopping: Box::pin(context.stopping().clone().cancelled_owned()),
    };
    let media_type = HeaderValue::from_static(form.media_type());
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, NO_STORE), (X_ACCEL_BUFFERING, NO)];
    (headers, Body::new(stream)).into_response()
}

impl EventSource for delivery::Feed {
    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Bytes>> {
        delivery::Feed::poll_next(self, waker)
    }
}

/// The body of the response.
struct EventStream<S> {
    source: S,
    form: StreamForm,
    pause_max: Duration,
    heartbeat_at: Pin<Box<Sleep>>,
    context: Context,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S: EventSource> HttpBody for EventStream<S> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.stopping.as_mut().poll(task).is_ready() {
            return Poll::Ready(None);
        }
        let event = |event: Option<Bytes>| event.map(|event| Ok(Frame::data(event)));
        if let Poll::Ready(next) = self.source.poll_next(task.waker()) {
            return Poll::Ready(event(next));
        }
        ready!(self.heartbeat_at.as_mut().poll(task));
        let idle = self.context.services().settings.current().http_idle_timeout;
        self.heartbeat_at = Box::pin(sleep(self.pause_max.min(idle / HEARTBEATS)));
        self.source.keep_alive();
        if let Poll::Ready(next) = self.source.poll_next(task.waker()) {
            return Poll::Ready(event(next));
        }
        Poll::Ready(Some(Ok(Frame::data(self.form.heartbeat()))))
    }
}
