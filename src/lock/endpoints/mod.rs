//! Locks over HTTP: acquire with a long poll, renew, release, check, sessions, reports on holders and waiters.

mod acquisition;
mod durable;
mod events;
mod idempotency;
mod identity;
mod leases;
mod modes;
mod operators;
mod refusals;
mod reports;
mod sessions;

use crate::delivery::Effects;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, on_disk};
use crate::lock::{LockOperation, Refused};
use crate::wait::Barrier;
use refusals::problem_of;

/// Milliseconds in a second, the unit of times to live in requests.
const SECOND: u64 = 1000;

/// The endpoints of the lock service.
pub fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .merge(acquisition::endpoints())
        .merge(leases::endpoints())
        .merge(modes::endpoints())
        .merge(events::endpoints())
        .merge(reports::endpoints())
        .merge(operators::endpoints())
        .merge(sessions::endpoints())
}

/// Runs an operation; returns what the response has to wait for as well.
fn start<O: LockOperation>(context: &Context, operation: &O) -> (O::Answer, Option<Barrier>) {
    let (services, mut effects) = (context.services(), Effects::default());
    let answer = services.run_lock(operation, context.now(), &mut effects);
    let barrier = effects.take_barrier();
    services.fan_out.deliver(&mut effects);
    (answer, barrier)
}

/// The same for an operation that may be refused.
fn begin<A, O>(context: &Context, operation: &O) -> Result<(A, Option<Barrier>), Problem>
where
    O: LockOperation<Answer = Result<A, Refused>>,
{
    let (answer, barrier) = start(context, operation);
    Ok((answer.map_err(|refused| problem_of(&refused, "resource"))?, barrier))
}

/// Runs an operation that may be refused, and returns once the disk has what it did.
async fn change<A, O>(context: &Context, operation: &O) -> Result<A, Problem>
where
    O: LockOperation<Answer = Result<A, Refused>>,
{
    let (answer, barrier) = begin(context, operation)?;
    synced(barrier).await?;
    Ok(answer)
}

/// Runs an operation that cannot be refused, and returns once the disk has what its answer depends on.
async fn look<O: LockOperation>(context: &Context, operation: &O) -> Result<O::Answer, Problem> {
    let (answer, barrier) = start(context, operation);
    synced(barrier).await?;
    Ok(answer)
}

async fn synced(barrier: Option<Barrier>) -> Result<(), Problem> {
    match barrier {
        Some(barrier) => on_disk(&barrier).await,
        None => Ok(()),
    }
}

/// Bytes as JSON shows them.  Names from RESP need not be text, and two names that differ must not look the same.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}
