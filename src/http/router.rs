//! All endpoints behind one router.

use axum::Router;
use axum::http::{HeaderValue, Uri};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{health, metrics, openapi, pages};
use crate::catalog::SERVICES;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, problems};

/// What requests that fit no route are counted as.
const NO_ROUTE: &str = "(none)";

/// An extension of a GET in the description of the API: who takes something with it, `clients` or `proxies`.
const TAKEN_BY: &str = "x-taken-by";

/// An extension of a POST: that it changes nothing.
const READS: &str = "x-reads";

/// Routes that are no part of the API.
const OTHER_ROUTES: &[&str] = &["/", "/docs", "/docs/", "/docs/{*rest}"];

/// The endpoints of the door itself.
const OWN: [fn() -> OpenApiRouter<Context>; 3] = [health::endpoints, metrics::endpoints, pages::endpoints];

/// All endpoints.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    let lists = SERVICES.iter().map(|service| service.endpoints).chain(OWN);
    lists.fold(OpenApiRouter::with_openapi(openapi::frame()), |all, list| all.merge(list()))
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

/// What there is to know of a route before its endpoint runs.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Its path with the names of its variable parts.
    pub(super) label: String,
    /// Whether its GET takes something, so that no other site may make a browser ask for it.  Beside the endpoint it is
    /// the extension `x-taken-by`.
    pub(super) get_takes: bool,
    /// Whether only proxies and programs ask for it.
    pub(super) is_for_proxies: bool,
    /// Whether its POST changes nothing: beside the endpoint the extension `x-reads`.
    pub(super) post_reads: bool,
    /// Whether it is a page of ours with scripts, and no data.
    pub(super) has_scripts: bool,
}

impl Route {
    /// A route that is no part of the API.
    fn other(label: &str) -> Route {
        let has_scripts = label.starts_with("/docs");
        let label = label.to_owned();
        Route { label, get_takes: false, is_for_proxies: false, post_reads: false, has_scripts }
    }

    fn of(label: String, item: &PathItem) -> Route {
        let extension = |operation: &Option<Operation>, name| {
            let extensions = operation.as_ref()?.extensions.as_ref()?;
            extensions.get(name).cloned()
        };
        let taken_by = extension(&item.get, TAKEN_BY);
        Route {
            get_takes: taken_by.is_some(),
            is_for_proxies: taken_by.is_some_and(|who| who == "proxies"),
            post_reads: extension(&item.post, READS).is_some(),
            has_scripts: false,
            label,
        }
    }
}

/// Which route a path takes.  The router knows it too, but only inside, where a layer would cost more than finding the
/// route twice does.
pub(super) struct Routes {
    routes: matchit::Router<Route>,
    none: Route,
}

impl Routes {
    pub(super) fn new() -> Routes {
        let mut routes = matchit::Router::new();
        let api = super::openapi().paths.paths.into_iter().map(|(label, item)| Route::of(label, &item));
        for route in api.chain(OTHER_ROUTES.iter().map(|label| Route::other(label))) {
            routes.insert(route.label.clone(), route).expect("the router takes the same routes");
        }
        Routes { routes, none: Route::other(NO_ROUTE) }
    }

    pub(super) fn find(&self, path: &str) -> &Route {
        self.routes.at(path).map_or(&self.none, |found| found.value)
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
        for list in SERVICES.iter().map(|service| service.endpoints).chain(OWN) {
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
