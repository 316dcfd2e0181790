//! Pages that explain each kind of problem.

use crate::http::endpoint::problems::PROBLEMS;
use crate::http::endpoint::{Context, OpenApiRouter, PathText, Problem, problems, routes};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(problem_page))
}

/// Explains a kind of problem
#[utoipa::path(get, path = "/problems/{slug}", tag = "about",
    params(("slug" = String, Path, description = "The last part of a problem's `type`")),
    responses((status = 200, description = "When the problem occurs and what to do", body = String, content_type = "text/plain")))]
async fn problem_page(PathText(slug): PathText) -> Result<String, Problem> {
    let kind = PROBLEMS.iter().find(|kind| kind.slug == slug);
    let kind =
        kind.ok_or_else(|| Problem::new(problems::NOT_FOUND).detail("there is no such kind of problem"))?;
    Ok(format!("{} (status {})\n\n{}\n", kind.title, kind.status.as_u16(), kind.description))
}
