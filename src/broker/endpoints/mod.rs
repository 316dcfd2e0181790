//! The broker over HTTP: tickets for clients that cannot send a password.

mod tickets;

use crate::http::endpoint::{Context, OpenApiRouter};

/// All of the broker's endpoints.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().merge(tickets::endpoints())
}
