//! What there is to know of the route that a request takes, before its endpoint runs.

use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;

/// The route of requests that fit none.
const NO_ROUTE: &str = "(none)";

/// An extension of a GET in the description of the API: who takes something with it, `clients` or `proxies`.
const TAKEN_BY: &str = "x-taken-by";

/// An extension of a POST: that it changes nothing.
const READS: &str = "x-reads";

/// Routes that are no part of the API.
const OTHER_ROUTES: &[&str] = &["/", "/docs", "/docs/", "/docs/{*rest}"];

/// One route.
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
