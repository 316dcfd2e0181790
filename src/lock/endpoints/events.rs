//! GET /locks/{resource}/events: the events of a resource, as a feed of server-sent events.

use axum::response::Response;

use crate::delivery::Feed;
use crate::http::endpoint::stream::{KEEP_ALIVE_MAX, StreamForm, stream};
use crate::http::endpoint::{Context, OpenApiRouter, PathBytes, Problem, State, problems, routes};
use crate::lock::channel_of;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Events of a resource
///
/// A feed of server-sent events (acquired, released, expired, forced, contended, lost, deadlock), each with a JSON
/// object.  It ends when the server stops, or when the client is more than 256 KiB of events behind.
#[utoipa::path(get, path = "/locks/{resource}/events", tag = "locks", extensions(("x-takes-ticket" = json!(true))),
    params(("resource" = String, Path, description = "Its name, percent-encoded")),
    responses((status = 200, description = "The events from now on", body = String, content_type = "text/event-stream")))]
async fn events(State(context): State<Context>, PathBytes(name): PathBytes) -> Result<Response, Problem> {
    let events = Feed::open_events(&context.services().fan_out, &channel_of(&name))
        .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
    Ok(stream(&context, StreamForm::Events, events, KEEP_ALIVE_MAX))
}
