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

use std::sync::Arc;

use super::algorithm::InvalidParameter;
use super::nanos;
use super::operation::{Change, LimitError, Operation};
use super::persistence::explanation;
use super::policies::Table;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, Visit, on_disk, problems};
use crate::store::HeldForLong;

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

/// The operations of one request on the counters of the first database, under the policies as they are when it comes.
struct Operations<'c> {
    context: &'c Context,
    policies: Arc<Table>,
}

impl<'c> Operations<'c> {
    fn new(context: &'c Context) -> Operations<'c> {
        Operations { context, policies: context.services().limits.policies.load_full() }
    }

    /// Does one within a step of [`Context::walk`].
    fn run<'o, O: Operation<'o>>(
        &'o self,
        visit: &mut Visit<'_, '_>,
        operation: O,
    ) -> Result<Result<O::Answer, LimitError>, HeldForLong> {
        let services = self.context.services();
        services.run_limit(operation, &self.policies, &mut visit.keyspace, visit.slot)
    }
}

/// Makes a change of an operator, and returns how many entries it changed once the disk has the change.
async fn change(context: &Context, change: Change<'_>) -> Result<usize, Problem> {
    let limits = &context.services().limits;
    let changed = limits.change(change, nanos(context.now()))?;
    if let Some(barrier) = limits.persistence.barrier() {
        on_disk(&barrier).await?;
    }
    Ok(changed)
}

impl From<LimitError> for Problem {
    fn from(error: LimitError) -> Problem {
        match error {
            LimitError::NoSuchPolicy(name) => {
                Problem::new(problems::NO_SUCH_POLICY).with("policy", String::from_utf8_lossy(&name))
            }
            LimitError::Invalid(invalid) => invalid.into(),
            LimitError::NotACounter => Problem::new(problems::WRONG_TYPE)
                .detail("the key of a counter holds a value of another kind"),
            LimitError::NoRoom => Problem::new(problems::OUT_OF_MEMORY).detail(
                "there is no room for another counter: raise limit-maxmemory, or max_keys of the policy",
            ),
            LimitError::UnequalCosts => {
                Problem::invalid("cost", "the same in all checks, since `upto` takes the same from all")
            }
            LimitError::Held => Problem::new(problems::BUSY),
            LimitError::NotSlots(name) => Problem::invalid(
                "policy",
                format!("one limit with the algorithm concurrency, which {name} is not"),
            ),
            LimitError::NotKept(reason) => Problem::new(problems::UNAVAILABLE).detail(explanation(&reason)),
        }
    }
}

impl From<InvalidParameter> for Problem {
    fn from(invalid: InvalidParameter) -> Problem {
        let detail = invalid.to_string();
        Problem::invalid(invalid.parameter, invalid.allowed).detail(detail)
    }
}
