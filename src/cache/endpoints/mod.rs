//! The cache over HTTP.

mod values;

use crate::endpoint::{Context, OpenApiRouter};

/// All of the cache's endpoints.
pub fn endpoints() -> OpenApiRouter<Context> {
    values::endpoints()
}
