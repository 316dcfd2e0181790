//! Checks in the words of proxies, which ask before they let a request pass.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::answer::{decide, make_out};
use super::check::{Question, X_USER_ID, demand};
use crate::endpoint::{Context, OpenApiRouter, Problem, ProblemBody, Query, State, routes};
use crate::limit::check::Mode;

/// For whom a request is that no header names.
const ANONYMOUS: &[u8] = b"anonymous";

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(nginx)).routes(routes!(forward))
}

/// Checks a limit for nginx
///
/// For `auth_request`, which takes any status but 2xx, 401 and 403 for a failure of the server: 204 or 403, with the
/// headers of `/check` for `auth_request_set`.  The key is the parameter `key` or the header `X-User-ID`, `X-Real-IP` or the last
/// address in `X-Forwarded-For`.
#[utoipa::path(get, path = "/auth/nginx", tag = "limits", extensions(("x-takes" = json!(true)), ("x-for-proxies" = json!(true))), params(Question),
    responses((status = 204, description = "It may be done"), (status = 403, description = "It is over a limit"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn nginx(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (key, mode) = (key(&question, &headers), mode(&question));
    let table = context.services().limits.policies.load();
    let check = make_out(&context, [demand(&table, &question.policy, &key, question.cost)?])?;
    let decided = decide(&context, check, mode)?.count(mode, &context);
    let allowed = decided.summary().allowed;
    let status = if allowed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    Ok((status, decided.headers()).into_response())
}

/// Checks a limit for Traefik and Caddy
///
/// For `forwardAuth` and `forward_auth`, which pass a refusal on to the client as it is: 200 or 429.  The key is the same as
/// for `/auth/nginx`.
#[utoipa::path(get, path = "/auth/forward", tag = "limits", extensions(("x-takes" = json!(true)), ("x-for-proxies" = json!(true))), params(Question),
    responses((status = 200, description = "It may be done"),
        (status = 429, description = "It is over a limit", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn forward(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (key, mode) = (key(&question, &headers), mode(&question));
    let table = context.services().limits.policies.load();
    let check = make_out(&context, [demand(&table, &question.policy, &key, question.cost)?])?;
    let decided = decide(&context, check, mode)?.count(mode, &context);
    if decided.summary().allowed {
        return Ok((StatusCode::OK, decided.headers()).into_response());
    }
    Ok(decided.into_response())
}

/// For whom a request is.  Of the addresses of a chain of proxies the last one is the only one that the proxy which
/// asks has seen itself.
fn key(question: &Question, headers: &HeaderMap) -> Vec<u8> {
    let header = |name| headers.get(name).map(|value| value.as_bytes()).filter(|value| !value.is_empty());
    // A proxy may add a line of its own below those that its client has sent.
    let chain = headers.get_all("x-forwarded-for").iter().next_back().map(|line| line.as_bytes());
    let last_of_chain = chain.and_then(|chain| chain.rsplit(|byte| *byte == b',').next());
    let last_of_chain = last_of_chain.map(<[u8]>::trim_ascii).filter(|address| !address.is_empty());
    let named = question.key.as_ref().map(String::as_bytes).or(header(X_USER_ID)).or(header("x-real-ip"));
    named.or(last_of_chain).map(<[u8]>::trim_ascii).unwrap_or(ANONYMOUS).to_vec()
}

fn mode(question: &Question) -> Mode {
    if question.peek { Mode::Peek } else { Mode::Take }
}
