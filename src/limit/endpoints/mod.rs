//! The rate limiter over HTTP.

mod answer;
mod authorize;
mod check;
mod headers;
mod keys;
mod policies;
mod reservations;

use super::algorithm::InvalidParameter;
use super::check::NotACounter;
use crate::endpoint::{Context, OpenApiRouter, Problem, problems};

/// All of the rate limiter's endpoints.
pub fn endpoints() -> OpenApiRouter<Context> {
    check::endpoints()
        .merge(authorize::endpoints())
        .merge(policies::endpoints())
        .merge(keys::endpoints())
        .merge(reservations::endpoints())
}

impl From<NotACounter> for Problem {
    fn from(NotACounter: NotACounter) -> Problem {
        Problem::new(problems::WRONG_TYPE).detail("a key at which a counter should be holds something else")
    }
}

impl From<InvalidParameter> for Problem {
    fn from(invalid: InvalidParameter) -> Problem {
        let detail = invalid.to_string();
        Problem::invalid(invalid.parameter, invalid.allowed).detail(detail)
    }
}
