//! The rate limiter over HTTP.

mod answer;
mod authorize;
mod check;
mod headers;
mod keys;
mod lists;
mod policies;
mod reservations;
mod slots;

use super::Limits;
use super::algorithm::InvalidParameter;
use super::check::NotACounter;
use super::waiting::Undecided;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, on_disk, problems};

/// All of the rate limiter's endpoints.
pub fn endpoints() -> OpenApiRouter<Context> {
    check::endpoints()
        .merge(authorize::endpoints())
        .merge(policies::endpoints())
        .merge(keys::endpoints())
        .merge(reservations::endpoints())
        .merge(lists::endpoints())
        .merge(slots::endpoints())
}

impl From<NotACounter> for Problem {
    fn from(NotACounter: NotACounter) -> Problem {
        Problem::new(problems::WRONG_TYPE).detail("a key at which a counter should be holds something else")
    }
}

impl From<Undecided> for Problem {
    fn from(undecided: Undecided) -> Problem {
        match undecided {
            Undecided::NotACounter(other) => other.into(),
            Undecided::Invalid(invalid) => invalid.into(),
        }
    }
}

/// Changes what operators set, and returns once the disk has the change.
async fn change<R>(
    context: &Context,
    change: impl FnOnce(&Limits) -> Result<R, InvalidParameter>,
) -> Result<R, Problem> {
    let limits = &context.services().limits;
    limits.keeping.admit().map_err(|refusal| {
        let text = String::from_utf8_lossy(refusal.text());
        let words = text.split_once(' ').map_or("", |(_, words)| words);
        Problem::new(problems::UNAVAILABLE).detail(words)
    })?;
    let changed = change(limits)?;
    if let Some(hold) = limits.keeping.hold() {
        on_disk(&hold).await?;
    }
    Ok(changed)
}

impl From<InvalidParameter> for Problem {
    fn from(invalid: InvalidParameter) -> Problem {
        let detail = invalid.to_string();
        Problem::invalid(invalid.parameter, invalid.allowed).detail(detail)
    }
}
