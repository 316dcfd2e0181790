//! The rate limiter over HTTP.

mod answer;
mod authorize;
mod check;
mod headers;
mod keys;
mod policies;
mod reservations;

use super::algorithm::InvalidParameter;
use crate::endpoint::{Context, OpenApiRouter, Problem};

/// All of the rate limiter's endpoints.
pub fn endpoints() -> OpenApiRouter<Context> {
    check::endpoints()
        .merge(authorize::endpoints())
        .merge(policies::endpoints())
        .merge(keys::endpoints())
        .merge(reservations::endpoints())
}

impl From<InvalidParameter> for Problem {
    fn from(invalid: InvalidParameter) -> Problem {
        let detail = invalid.to_string();
        Problem::invalid(invalid.parameter, invalid.allowed).detail(detail)
    }
}
