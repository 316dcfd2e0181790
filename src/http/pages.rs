//! Pages about the API: its description for programs, and what each kind of problem means.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

use crate::http::endpoint::problems::PROBLEMS;
use crate::http::endpoint::{Context, OpenApiRouter, PathText, Problem, ProblemBody, problems, routes};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(description)).routes(routes!(problem_page))
}

/// This description of the API
#[utoipa::path(get, path = "/openapi.json", tag = "about",
    responses((status = 200, description = "An OpenAPI document", body = serde_json::Value),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn description() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        super::openapi().to_pretty_json().expect("a description has only members that JSON can write")
    });
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], TEXT.as_str()).into_response()
}

/// What a kind of problem means
#[utoipa::path(get, path = "/problems/{slug}", tag = "about",
    params(("slug" = String, Path, description = "The last part of a problem's `type`")),
    responses((status = 200, description = "When it happens and what to do", body = String, content_type = "text/plain"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn problem_page(PathText(slug): PathText) -> Result<String, Problem> {
    let kind = PROBLEMS.iter().find(|kind| kind.slug == slug);
    let kind =
        kind.ok_or_else(|| Problem::new(problems::NOT_FOUND).detail("there is no such kind of problem"))?;
    Ok(format!("{} (status {})\n\n{}\n", kind.title, kind.status.as_u16(), kind.description))
}
