//! The route of a request, with the facts that are needed before its endpoint runs.

use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;

use super::rows;

/// The route of requests that fit none.
const NO_ROUTE: &str = "(none)";

/// An extension of a GET in the description of the API: it takes something, for `clients` or for `proxies`.
const TAKEN_BY: &str = "x-taken-by";

/// An extension of a POST: that it changes nothing.
const READS: &str = "x-reads";

/// An extension of operations: they run commands, so no link and no form may make a browser ask for them.
const RUNS_COMMANDS: &str = "x-runs-commands";

/// An extension of a GET: a browser may ask with a ticket instead of the password.
pub(super) const TAKES_TICKET: &str = "x-takes-ticket";

/// An extension of a POST: users of the settings may ask for it, within their rights.
pub(super) const TAKES_USERS: &str = "x-takes-users";

/// An extension of a GET: it turns the connection into a WebSocket.
const UPGRADES: &str = "x-upgrades";

/// Routes that are no part of the API.
const OTHER_ROUTES: &[&str] = &["/", "/docs", "/docs/", "/docs/{*rest}", "/console/{*file}"];

/// One route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Its path with the names of its variable parts.
    pub(super) label: String,
    /// Whether its GET takes something, so that no other site may make a browser ask for it; the extension `x-taken-by`.
    pub(super) get_takes: bool,
    /// Whether only proxies and programs ask for it.
    pub(super) is_for_proxies: bool,
    /// Whether its POST changes nothing; the extension `x-reads`.
    pub(super) post_reads: bool,
    /// Whether its requests run commands; the extension `x-runs-commands`.
    pub(super) runs_commands: bool,
    /// Whether its GET may come with a ticket instead of the password; the extension `x-takes-ticket`.
    pub(super) takes_ticket: bool,
    /// Whether its POST may come from a user of the settings; the extension `x-takes-users`.
    pub(super) takes_users: bool,
    /// Whether its GET turns the connection into a WebSocket, on which the client gives its password; the extension `x-upgrades`.
    pub(super) upgrades: bool,
    /// Whether it is a page of ours with scripts, not data.
    pub(super) has_scripts: bool,
    /// Whether it is a part of the console, which asks for the password itself: it shows nothing without.
    pub(super) is_console: bool,
}

impl Route {
    /// A route that is no part of the API.
    pub(super) fn other(label: &str) -> Route {
        let has_scripts = label.starts_with("/docs");
        let is_console = label == "/" || label.starts_with("/console/");
        let label = label.to_owned();
        Route {
            label,
            get_takes: false,
            is_for_proxies: false,
            post_reads: false,
            runs_commands: false,
            takes_ticket: false,
            takes_users: false,
            upgrades: false,
            has_scripts,
            is_console,
        }
    }

    fn of(label: String, item: &PathItem) -> Route {
        let extension = |operation: &Option<Operation>, name| {
            let extensions = operation.as_ref()?.extensions.as_ref()?;
            extensions.get(name).cloned()
        };
        let taken_by = extension(&item.get, TAKEN_BY);
        let runs_commands = [&item.get, &item.post].map(|operation| extension(operation, RUNS_COMMANDS));
        let runs_commands = runs_commands.iter().any(Option::is_some);
        Route {
            get_takes: taken_by.is_some() || runs_commands,
            is_for_proxies: taken_by.is_some_and(|who| who == "proxies"),
            post_reads: extension(&item.post, READS).is_some(),
            runs_commands,
            takes_ticket: extension(&item.get, TAKES_TICKET).is_some(),
            takes_users: extension(&item.post, TAKES_USERS).is_some(),
            upgrades: extension(&item.get, UPGRADES).is_some(),
            has_scripts: false,
            is_console: false,
            label,
        }
    }
}

/// Finds the route of a path.  The router knows it too, but only inside, and a layer there costs more than finding the route
/// twice.
pub(super) struct Routes {
    routes: matchit::Router<Route>,
    none: Route,
}

impl Routes {
    pub(super) fn new() -> Routes {
        let mut routes = matchit::Router::new();
        let api = super::openapi().paths.paths.into_iter().map(|(label, item)| Route::of(label, &item));
        let api: Vec<Route> = api.collect();
        if let Some(route) = api.iter().find(|route| route.label == rows::PATH) {
            let inserted = routes.insert(rows::PATH_WITH_ARGUMENTS, route.clone());
            inserted.expect("the router takes the same route");
        }
        for route in api.into_iter().chain(OTHER_ROUTES.iter().map(|label| Route::other(label))) {
            routes.insert(route.label.clone(), route).expect("the router takes the same routes");
        }
        Routes { routes, none: Route::other(NO_ROUTE) }
    }

    pub(super) fn find(&self, path: &str) -> &Route {
        self.routes.at(path).map_or(&self.none, |found| found.value)
    }
}
