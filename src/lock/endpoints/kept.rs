//! What is still true of an operation once the disk has it: time has passed meanwhile, and the client may have gone.

use super::synced;
use crate::clock::Now;
use crate::command::Services;
use crate::delivery::Effects;
use crate::http::endpoint::{Context, Problem, problems};
use crate::lock::operation::{CountRenewable, SessionRemaining, Withdraw, WithdrawSession};
use crate::lock::{Aging, Grant, SessionId};
use crate::wait::Barrier;

/// A new grant as it is to be told once the disk has it.
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

/// How an owner holds what it held before, as it is to be told after `hold`.
pub(super) async fn changed(
    context: &Context,
    grant: Grant,
    barrier: Option<Barrier>,
) -> Result<Grant, Problem> {
    let Some(barrier) = barrier else { return Ok(grant) };
    synced(Some(barrier)).await?;
    with_effects(context, |now, effects| context.services().remaining_grant(&grant, now, effects))
}

/// How many leases of an owner were renewed for `ttl` milliseconds at `since` and are still held after `hold`.
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

/// How long a session lasts after `hold`; one whose name nobody has heard ends with its client.
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

/// What is left; too late if nothing is.
fn with_effects<R>(
    context: &Context,
    left: impl FnOnce(Now, &mut Effects) -> Option<R>,
) -> Result<R, Problem> {
    let mut effects = Effects::default();
    let left = left(context.now(), &mut effects);
    effects.deliver(&context.services().alarm);
    left.ok_or_else(|| {
        Problem::new(problems::UNAVAILABLE).detail(
            "the time was over before the disk had it: ask for a longer one, or see why the disk is slow",
        )
    })
}
