//! All endpoints, and the description of the API that is made from them.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::ToResponse;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr};

use super::routes::{TAKES_TICKET, TAKES_USERS};
use super::{figures, health, metrics, pages, rows, ticket, websocket};
use crate::catalog::SERVICES;
use crate::http::endpoint::{Context, OpenApiRouter, ProblemResponse, routes};

/// The endpoints of the door itself.
const OWN: [fn() -> OpenApiRouter<Context>; 7] = [
    rows::endpoints,
    health::endpoints,
    metrics::endpoints,
    figures::endpoints,
    description_endpoint,
    pages::endpoints,
    websocket::endpoints,
];

/// The lists of endpoints, of the services and of the door itself.
fn lists() -> impl Iterator<Item = fn() -> OpenApiRouter<Context>> {
    SERVICES.iter().map(|service| service.endpoints).chain(OWN)
}

/// Passwords and tickets have no scopes.
const NO_SCOPES: [&str; 0] = [];

/// All endpoints.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    lists().fold(OpenApiRouter::with_openapi(frame()), |all, list| all.merge(list()))
}

/// The description of the whole API.
pub fn openapi() -> OpenApi {
    let mut description = endpoints().into_openapi();
    rows::list_commands(&mut description);
    let operations = description.paths.paths.values_mut().flat_map(operations);
    operations.for_each(|operation| {
        add_problems(operation);
        add_ticket(operation);
        add_users(operation);
    });
    description
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = path;
    [get, put, post, delete].into_iter().flatten()
}

/// Says that the response may be a problem, so that no endpoint has to say it.
fn add_problems(operation: &mut Operation) {
    let problem = || {
        let mut reference = Ref::from_response_name(ProblemResponse::response().0);
        "A problem".clone_into(&mut reference.description);
        RefOr::Ref(reference)
    };
    for statuses in ["4XX", "5XX"] {
        operation.responses.responses.entry(statuses.to_owned()).or_insert_with(problem);
    }
}

/// Says of an operation that takes tickets that it does.
fn add_ticket(operation: &mut Operation) {
    let extensions = operation.extensions.as_ref();
    if extensions.is_some_and(|extensions| extensions.contains_key(TAKES_TICKET)) {
        let ticket = SecurityRequirement::new(ticket::PARAMETER, NO_SCOPES);
        operation.security = Some(ways_in().into_iter().chain([ticket]).collect());
    }
}

/// Says of an operation that takes users that it does.
fn add_users(operation: &mut Operation) {
    let extensions = operation.extensions.as_ref();
    if extensions.is_some_and(|extensions| extensions.contains_key(TAKES_USERS)) {
        let said = "A user of the settings may make this call with Basic authentication, within its rights.";
        let description = operation.description.get_or_insert_default();
        *description = format!("{description}\n\n{said}");
    }
}

/// How a client may say who it is, wherever it asks: not at all, or with the password.
fn ways_in() -> [SecurityRequirement; 3] {
    [
        SecurityRequirement::default(),
        SecurityRequirement::new("basic", NO_SCOPES),
        SecurityRequirement::new("bearer", NO_SCOPES),
    ]
}

/// The description without its endpoints.
fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Quartet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A cache, a rate limiter, distributed locks and a message broker in one server.  Errors are problem \
             details (RFC 9457) whose `type` is stable.",
        ))
        .license(Some(License::new(env!("CARGO_PKG_LICENSE"))))
        .build();
    let scheme = |kind| SecurityScheme::Http(HttpBuilder::new().scheme(kind).build());
    let mut components = Components::new();
    let (name, response) = ProblemResponse::response();
    components.responses.insert(name.to_owned(), response);
    components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic));
    components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer));
    let ticket =
        ApiKeyValue::with_description(ticket::PARAMETER, "A ticket of POST /tickets, for one request");
    components.add_security_scheme(ticket::PARAMETER, SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(ways_in())).build()
}

fn description_endpoint() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(description))
}

/// Shows this description of the API
#[utoipa::path(get, path = "/openapi.json", tag = "about",
    responses((status = 200, description = "An OpenAPI document", body = serde_json::Value)))]
async fn description() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        openapi().to_pretty_json().expect("a description has only members that JSON can write")
    });
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], TEXT.as_str()).into_response()
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
