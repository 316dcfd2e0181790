//! The router of all endpoints, of the documentation's pages and of paths that do not exist; permissions for browsers.

use axum::Router;
use axum::http::{HeaderValue, Method, Uri};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::console;
use super::openapi::endpoints;
use crate::http::endpoint::{Context, Problem, problems};

/// The router of one thread.
pub(super) fn router(context: Context) -> Router {
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let nothing =
        async |uri: Uri| Problem::new(problems::NOT_FOUND).detail(format!("nothing is at {}", uri.path()));
    Router::from(endpoints())
        .merge(Router::from(docs))
        .merge(console::pages())
        .fallback(nothing)
        .method_not_allowed_fallback(untaken)
        .with_state(context)
}

/// The answer to a method that the path does not take.
async fn untaken(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is none of the methods of {}, which the header Allow lists", uri.path());
    Problem::new(problems::METHOD_NOT_ALLOWED).detail(detail)
}

/// The layer that lets browsers show responses to pages of `origins`.
pub(super) fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = match origins {
        [] => return None,
        some if some.iter().any(|origin| origin == "*") => AllowOrigin::any(),
        some => AllowOrigin::list(some.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::any());
    Some(cors)
}
