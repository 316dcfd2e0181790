//! Tickets over HTTP.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::secret;
use crate::access::TICKET_LIFETIME;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, State, json_with_status, problems, routes};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(issue))
}

/// A ticket.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccessTicket, example = json!({"ticket": "q3FqkU1hLwSrQ0aVQpQvJ8mEo4nW2b7x", "expires_in_ms": 30000}))]
struct Issued {
    /// The value of the parameter `ticket`.
    ticket: String,
    /// Milliseconds within which it must be used.
    expires_in_ms: u64,
}

/// Makes a ticket
///
/// A browser cannot send a password when a page opens an EventSource or a WebSocket.  The page asks for a ticket first, with the
/// password, and puts it into the query: `new EventSource("/subscribe/news.>?ticket=...")`.  A ticket is good for one request
/// within 30 seconds, so an EventSource that has lost its connection needs another one.
#[utoipa::path(post, path = "/tickets", tag = "broker",
    responses((status = 201, description = "It can be used", body = Issued)))]
async fn issue(State(context): State<Context>) -> Result<Response, Problem> {
    let ticket = context.services().tickets.issue(secret()?, context.now()).map_err(|left| {
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Problem::new(problems::TOO_MANY_TICKETS).retry_after(seconds)
    })?;
    let expires_in_ms = TICKET_LIFETIME.as_millis() as u64;
    let mut response = json_with_status(StatusCode::CREATED, Issued { ticket, expires_in_ms });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
