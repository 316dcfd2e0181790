//! The description of the API for programs, made from the endpoints themselves.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, OpenApiBuilder};

use super::router::endpoints;

/// What the description says besides the endpoints.
pub(super) fn frame() -> OpenApi {
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
    components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic));
    components.add_security_scheme("bearer", scheme(HttpAuthScheme::Bearer));
    let none: [&str; 0] = [];
    let security = [
        SecurityRequirement::default(),
        SecurityRequirement::new("basic", none),
        SecurityRequirement::new("bearer", none),
    ];
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(security)).build()
}

/// The description of the whole API.
pub fn openapi() -> OpenApi {
    endpoints().into_openapi()
}
