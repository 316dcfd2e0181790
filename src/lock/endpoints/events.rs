//! GET /locks/{resource}/events: what happens to a resource, as server-sent events.

use std::task::{Poll, Waker};

use axum::response::Response;
use bytes::Bytes;

use crate::http::endpoint::stream::{EventSource, KEEP_ALIVE_MAX, encoded, stream};
use crate::http::endpoint::{Context, OpenApiRouter, PathBytes, Problem, State, problems, routes};
use crate::lock::Watch;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happens to a resource
///
/// A stream of server-sent events (acquired, released, expired, forced, contended, lost, deadlock), each with a JSON
/// object.  It ends when the server stops, or when the client is behind by more than a thousand events.
#[utoipa::path(get, path = "/locks/{resource}/events", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded")),
    responses((status = 200, description = "The events from now on", body = String, content_type = "text/event-stream")))]
async fn events(State(context): State<Context>, PathBytes(name): PathBytes) -> Result<Response, Problem> {
    let watch = context.services().lock_watchers.watch(&name);
    let watch = watch.ok_or_else(|| {
        Problem::new(problems::TOO_MANY_LOCKS).detail("too many streams of events are open")
    })?;
    Ok(stream(&context, watch, KEEP_ALIVE_MAX))
}

impl EventSource for Watch {
    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Bytes>> {
        Watch::poll_next(self, waker).map(|event| event.map(|event| encoded(event.word, &event.payload)))
    }
}
