//! What is still true of an operation once the disk has it: time has passed meanwhile, and the client may have gone.

use super::{act_durably, synced};
use crate::clock::Now;
use crate::command::Services;
use crate::delivery::Effects;
use crate::http::endpoint::{Context, Problem, problems};
use crate::lock::{Aftermath, Aging, Grant, Locks, Refused, SessionId};
use crate::wait::Barrier;

/// A new grant as it is to be told once the disk has it.
pub(super) async fn granted(
    context: &Context,
    grant: Grant,
    barrier: Option<Barrier>,
) -> Result<Grant, Problem> {
    let Some(barrier) = barrier else { return Ok(grant) };
    let withdraw = |services: &Services, now, effects: &mut _| {
        services.on_lock_table(now, effects, |core, now, events| core.withdraw(&grant, now, events));
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
    with_effects(context, |now, effects| context.services().left_of_grant(&grant, now, effects))
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
        let count = |core: &mut crate::lock::Core, now, events: &mut _| core.renewable(owner, now, events);
        let still = context.services().on_lock_table(now, effects, count);
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
            services.on_lock_table(now, effects, |core, now, events| core.withdraw_session(id, now, events));
        }
    };
    context.on_disk_or(&barrier, withdraw).await?;
    with_effects(context, |now, effects| {
        let left = |core: &mut crate::lock::Core, now, events: &mut _| core.session_left(id, now, events);
        context.services().on_lock_table(now, effects, left)
    })
}

/// A report whose remaining times are counted from when it is sent.
pub(super) async fn report<R: Aging>(
    context: &Context,
    operation: impl FnOnce(&Locks, Now, &mut Aftermath) -> Result<R, Refused>,
) -> Result<R, Problem> {
    let since = context.now();
    let mut report = act_durably(context, operation).await?;
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
