//! All endpoints behind one router.

use axum::Router;
use axum::http::{HeaderValue, Uri};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{health, metrics, openapi, pages};
use crate::cache;
use crate::endpoint::{Context, OpenApiRouter, Problem, problems};
use crate::limit;
use crate::lock;

/// What requests that fit no route are counted as.
const NO_ROUTE: &str = "(none)";

/// Routes that are no part of the API.
const OTHER_ROUTES: &[&str] = &["/", "/docs", "/docs/", "/docs/{*rest}"];

/// The lists of endpoints, of the services and of the door itself.
const LISTS: &[fn() -> OpenApiRouter<Context>] = &[
    cache::endpoints::endpoints,
    limit::endpoints::endpoints,
    lock::endpoints::endpoints,
    health::endpoints,
    metrics::endpoints,
    pages::endpoints,
];

/// All endpoints.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    LISTS.iter().fold(OpenApiRouter::with_openapi(openapi::frame()), |all, list| all.merge(list()))
}

/// The router of one thread.
pub(super) fn router(context: Context) -> Router {
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let nothing =
        async |uri: Uri| Problem::new(problems::NOT_FOUND).detail(format!("nothing is at {}", uri.path()));
    Router::from(endpoints())
        .merge(Router::from(docs))
        .route("/", get(async || Redirect::temporary("/docs/")))
        .fallback(nothing)
        .method_not_allowed_fallback(async || Problem::new(problems::METHOD_NOT_ALLOWED))
        .with_state(context)
}

/// Which route a path takes, as a label.  The router knows it too, but only inside, where a layer would cost more than
/// finding the route twice does.
pub(super) struct Routes(matchit::Router<String>);

impl Routes {
    pub(super) fn new() -> Routes {
        let mut routes = matchit::Router::new();
        let api = super::openapi().paths.paths.into_keys();
        for route in api.chain(OTHER_ROUTES.iter().map(|&route| route.to_owned())) {
            routes.insert(route.clone(), route).expect("the router takes the same routes");
        }
        Routes(routes)
    }

    pub(super) fn label(&self, path: &str) -> &str {
        self.0.at(path).map_or(NO_ROUTE, |found| found.value)
    }
}

/// What tells browsers that pages of `origins` may read the responses.
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn services_do_not_call_two_things_by_one_name() {
        let mut schemas = HashMap::new();
        for list in LISTS {
            let components = list().into_openapi().components.unwrap_or_default();
            for (name, schema) in components.schemas {
                let schema = serde_json::to_value(schema).expect("it is JSON");
                let other = schemas.insert(name.clone(), schema.clone());
                assert!(
                    other.is_none_or(|other| other == schema),
                    "{name} is the name of two schemas: give one another with #[schema(as = ...)]"
                );
            }
        }
    }
}
