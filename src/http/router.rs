//! All endpoints behind one router.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderValue, Uri};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::access::Access;
use super::door::Door;
use super::{health, openapi, pages};
use crate::cache;
use crate::endpoint::{Context, OpenApiRouter, Problem, problems};
use crate::settings::Settings;

/// Who sent a request; each one carries it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The endpoints of all services.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(cache::endpoints::endpoints())
        .merge(health::endpoints())
        .merge(pages::endpoints())
}

/// The router of one thread, for requests that carry a [`Peer`].
pub fn router(context: Context, settings: &Settings) -> Router {
    let (endpoints, _) = endpoints().split_for_parts();
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let door = Door::new(context.clone(), Access::new(settings));
    let router = endpoints
        .merge(Router::from(docs))
        .route("/", get(async || Redirect::temporary("/docs/")))
        .fallback(async |uri: Uri| {
            Problem::new(problems::NOT_FOUND).detail(format!("nothing is at {}", uri.path()))
        })
        .method_not_allowed_fallback(async || Problem::new(problems::METHOD_NOT_ALLOWED))
        .with_state(context)
        .layer(door);
    match cors(&settings.http_cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// What tells browsers that pages of `origins` may read the responses.
fn cors(origins: &[String]) -> Option<CorsLayer> {
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
