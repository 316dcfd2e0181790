//! Checks for proxies, which ask before they let a request pass.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Operations;
use super::answer::respond;
use super::check::Question;
use super::headers::headers as limit_headers;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, ProblemBody, Query, State, routes};

/// The key of requests that name no client.
const ANONYMOUS: &[u8] = b"anonymous";

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(nginx)).routes(routes!(forward))
}

/// Checks a limit for nginx
///
/// For `auth_request`, which takes any status but 2xx, 401 and 403 for a failure of the server.  Answers 204 or 403, with the
/// headers of `/check` for `auth_request_set`.  The key is the parameter `key`, the header `X-User-ID`, or the client's
/// address from `X-Real-IP` or the end of `X-Forwarded-For`, in this order.  Addresses lose their port and have one spelling; of
/// IPv6 only the bits that tell hosts apart count (`limit-host-prefix`).  Requests without any of these share the key
/// `anonymous`.
#[utoipa::path(get, path = "/auth/nginx", tag = "limits", extensions(("x-taken-by" = json!("proxies"))), params(Question),
    responses((status = 204, description = "The request is allowed"), (status = 403, description = "The request is over a limit")))]
async fn nginx(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = key(&context, &question, &headers)?;
    let operations = Operations::new(&context);
    let report = question.decide(&operations, &key).await?;
    let status = if report.summary.allowed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    Ok((status, limit_headers(&report)).into_response())
}

/// Checks a limit for Traefik and Caddy
///
/// For `forwardAuth` and `forward_auth`, which pass a refusal on to the client.  Answers 200 or 429.  The key is that of
/// `/auth/nginx`.
#[utoipa::path(get, path = "/auth/forward", tag = "limits", extensions(("x-taken-by" = json!("proxies"))), params(Question),
    responses((status = 200, description = "The request is allowed"),
        (status = 429, description = "The request is over a limit", body = ProblemBody, content_type = "application/problem+json")))]
async fn forward(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = key(&context, &question, &headers)?;
    let operations = Operations::new(&context);
    let report = question.decide(&operations, &key).await?;
    if report.summary.allowed {
        return Ok((StatusCode::OK, limit_headers(&report)).into_response());
    }
    Ok(respond(&report))
}

/// The key of a request.  Of a chain of addresses only the last one was seen by the proxy that asks.
fn key(context: &Context, question: &Question, headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    if let Some(named) = question.named(headers)? {
        return Ok(named.to_vec());
    }
    for name in ["X-Real-IP", "X-Forwarded-For"] {
        // A proxy may add its line below the lines that its client has sent.
        let Some(line) = headers.get_all(name).iter().next_back() else { continue };
        let last = line.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let client = context.services().limits.lists.client(last);
        return client
            .ok_or_else(|| Problem::invalid(name, "an address of IPv4 or IPv6, perhaps with a port"));
    }
    Ok(ANONYMOUS.to_vec())
}
