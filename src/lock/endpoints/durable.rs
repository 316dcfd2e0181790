//! Answers that waited for the disk: time has passed meanwhile, so each is brought up to date, and the client may have left.

use super::synced;
use crate::clock::Now;
use crate::command::Services;
use crate::delivery::Effects;
use crate::http::endpoint::{Context, Problem, problems};
use crate::lock::operation::{CountRenewable, SessionRemaining, Withdraw, WithdrawSession};
use crate::lock::{Aging, Grant, SessionId};
use crate::wait::Barrier;

/// A new grant as its client is told of it, once the disk has it.
pub(super) async fn granted(
    context: &Context,
    grant: Grant,
    barrier: Option<Barrier>,
) -> Result<Grant, Problem> {
    let Some(barrier) = barrier else { return Ok(grant) };
    let withdraw = |services: &Services, now, effects: &mut _| {
        services.run_settled_lock(&Withdraw { grant: &grant }, now, effects);
    };
    context.on_disk_or(&barrier, withdraw).await?;
    with_effects(context, |now, effects| context.services().confirm_grant(&grant, now, effects))
}

/// A lease that has changed, as its holder is told of it, once the disk has the change.
pub(super) async fn changed(
    context: &Context,
    grant: Grant,
    barrier: Option<Barrier>,
) -> Result<Grant, Problem> {
    let Some(barrier) = barrier else { return Ok(grant) };
    synced(Some(barrier)).await?;
    with_effects(context, |now, effects| context.services().remaining_grant(&grant, now, effects))
}

/// How many leases of an owner, renewed for `ttl` milliseconds at `since`, are still held once the disk has the
/// renewal.
pub(super) async fn all_renewed(
    context: &Context,
    (owner, ttl): (&[u8], u64),
    renewed: u64,
    since: Now,
    barrier: Option<Barrier>,
) -> Result<u64, Problem> {
    let Some(barrier) = barrier else { return Ok(renewed) };
    synced(Some(barrier)).await?;
    let now = context.now();
    if renewed == 0 || now.micros() < since.micros() + ttl * 1000 {
        return Ok(renewed);
    }
    with_effects(context, |now, effects| {
        let still = context.services().run_settled_lock(&CountRenewable { owner }, now, effects);
        (still > 0).then(|| still.min(renewed))
    })
}

/// How long a session lasts, once the disk has it.  A new one ends if its client leaves before.
pub(super) async fn session_left(
    context: &Context,
    id: SessionId,
    is_new: bool,
    barrier: Barrier,
) -> Result<Option<u64>, Problem> {
    let withdraw = |services: &Services, now, effects: &mut _| {
        if is_new {
            services.run_settled_lock(&WithdrawSession { session: id }, now, effects);
        }
    };
    context.on_disk_or(&barrier, withdraw).await?;
    with_effects(context, |now, effects| {
        context.services().run_settled_lock(&SessionRemaining { session: id }, now, effects)
    })
}

/// A report whose remaining times are counted from when it is sent.
pub(super) async fn report<R: Aging>(
    context: &Context,
    (mut report, barrier): (R, Option<Barrier>),
) -> Result<R, Problem> {
    let since = context.now();
    synced(barrier).await?;
    report.age(context.now().millis().saturating_sub(since.millis()));
    Ok(report)
}

/// The rest; a problem if there is none.
fn with_effects<R>(
    context: &Context,
    left: impl FnOnce(Now, &mut Effects) -> Option<R>,
) -> Result<R, Problem> {
    let mut effects = Effects::default();
    let left = left(context.now(), &mut effects);
    context.services().fan_out.deliver(&mut effects);
    left.ok_or_else(|| {
        Problem::new(problems::UNAVAILABLE).detail(
            "the time was over before the disk had it: ask for a longer one, or see why the disk is slow",
        )
    })
}
