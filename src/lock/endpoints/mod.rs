//! Locks over HTTP: acquire with a long poll, renew, release, check, sessions, and who holds and waits.

mod acquisition;
mod events;
mod idempotency;
mod identity;
mod kept;
mod leases;
mod modes;
mod operators;
mod refusals;
mod reports;
mod sessions;

use crate::clock::Now;
use crate::delivery::Effects;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, on_disk};
use crate::lock::{Aftermath, Core, Events, Locks, Refused};
use crate::wait::Barrier;
use refusals::problem_of;

/// Milliseconds in a second, the unit that people write times to live in.
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

/// Runs an operation on the locks and does what it leaves to be done; returns what the response has to wait for.
fn act<R>(
    context: &Context,
    operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> R,
) -> (R, Option<Barrier>) {
    let mut effects = Effects::default();
    let acted = context.services().on_locks(context.now(), &mut effects, operation);
    effects.deliver(&context.services().alarm);
    acted
}

/// Runs an operation that may be refused, and waits until what it promises is on the disk.
async fn act_durably<R>(
    context: &Context,
    operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> Result<R, Refused>,
) -> Result<R, Problem> {
    let (result, barrier) = act(context, operation);
    let result = result.map_err(|refused| problem_of(&refused, "resource"))?;
    synced(barrier).await?;
    Ok(result)
}

/// The same for an operation of the table that changes it: it is refused before if the disk cannot take the change.
async fn change<R>(
    context: &Context,
    operation: impl FnOnce(&mut Core, u64, &mut Events) -> Result<R, Refused>,
) -> Result<R, Problem> {
    let (result, barrier) = begin(context, operation)?;
    synced(barrier).await?;
    Ok(result)
}

/// Runs an operation that changes the table; returns what the response has to wait for as well.
fn begin<R>(
    context: &Context,
    operation: impl FnOnce(&mut Core, u64, &mut Events) -> Result<R, Refused>,
) -> Result<(R, Option<Barrier>), Problem> {
    let (result, barrier) = act(context, |locks, now, aftermath| locks.change(now, aftermath, operation));
    Ok((result.map_err(|refused| problem_of(&refused, "resource"))?, barrier))
}

async fn synced(barrier: Option<Barrier>) -> Result<(), Problem> {
    match barrier {
        Some(barrier) => on_disk(&barrier).await,
        None => Ok(()),
    }
}

/// Bytes as JSON shows them.  What came over HTTP is text mostly; what came over RESP need not be, and two names that
/// differ must not look the same.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}
