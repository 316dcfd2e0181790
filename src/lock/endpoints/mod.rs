//! Locks over HTTP: acquire with a long poll, renew, release, check, sessions, and who holds and waits.

mod acquisition;
mod events;
mod identity;
mod leases;
mod modes;
mod operators;
mod reports;
mod sessions;

use crate::clock::Now;
use crate::command::Effects;
use crate::endpoint::{Context, OpenApiRouter, Problem, on_disk, problems};
use crate::lock::{Aftermath, Locks};
use crate::refusal::Refusal;
use crate::wait::Hold;

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
fn act<R>(context: &Context, operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> R) -> (R, Option<Hold>) {
    let mut effects = Effects::default();
    let acted = context.services().on_locks(context.now(), &mut effects, operation);
    effects.deliver();
    acted
}

/// Runs an operation that may be refused, and waits until what it promises is on the disk.
async fn act_durably<R>(
    context: &Context,
    operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> Result<R, Refusal>,
) -> Result<R, Problem> {
    let (result, hold) = act(context, operation);
    let result = result.map_err(|refusal| problem_of(&refusal))?;
    synced(hold).await?;
    Ok(result)
}

/// The same for what could not be kept if the disk is not up to it: it is not begun then.
async fn promise<R>(
    context: &Context,
    operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> Result<R, Refusal>,
) -> Result<R, Problem> {
    context.services().locks.admit(context.now()).map_err(|refusal| problem_of(&refusal))?;
    act_durably(context, operation).await
}

async fn synced(hold: Option<Hold>) -> Result<(), Problem> {
    match hold {
        Some(hold) => on_disk(&hold).await,
        None => Ok(()),
    }
}

/// The problem that says what a RESP client would be told.
fn problem_of(refusal: &Refusal) -> Problem {
    let text = String::from_utf8_lossy(refusal.text());
    let words = text.split_once(' ').map_or("", |(_, words)| words);
    let kind = match refusal.code() {
        "NOTHELD" | "LOCKMODE" => problems::LOCK_NOT_HELD,
        "LOCKWAITS" => problems::OWNER_WAITS,
        "NOSESSION" => problems::NO_SUCH_SESSION,
        "LOCKFULL" => problems::TOO_MANY_LOCKS,
        "ERR" => problems::INVALID_VALUE,
        _ => problems::UNAVAILABLE,
    };
    Problem::new(kind).detail(words)
}

/// Bytes as JSON shows them.  What came over HTTP is text; what came over RESP need not be.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
