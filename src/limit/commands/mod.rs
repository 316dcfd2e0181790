//! What clients can say to the rate limiter, a file per family.

mod answer;
pub mod check;
pub mod corrections;
mod keys;
pub mod lists;
pub mod policy;
pub mod reservations;
pub mod slots;
pub mod statistics;
pub mod throttle;
mod words;

use super::Limits;
use super::algorithm::InvalidParameter;
use super::check::NotACounter;
use super::waiting::Undecided;
use crate::command::{Call, Command, Flags, Group};
use crate::refusal::Refusal;

/// What the rows of all families share.
const ROW: Command = Command { since: "Quartet 0.1.0", group: Group::RateLimit, ..Command::ROW };

/// What the rows of HELP share.
const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    flags: Flags::LOADING.union(Flags::STALE),
    ..ROW
};

/// Changes what operators set.  The reply, which must not be written yet, waits until the disk has the change.
fn change<R, E>(call: &mut Call<'_, '_>, change: impl FnOnce(&Limits) -> Result<R, E>) -> Result<R, Refusal>
where
    Refusal: From<E>,
{
    let limits = &call.services.limits;
    limits.keeping.admit()?;
    let changed = change(limits)?;
    if let Some(hold) = limits.keeping.hold() {
        call.delay_reply(hold);
    }
    Ok(changed)
}

/// What is said where a key needs a counter of its own and there is no room for one.
fn no_room() -> Refusal {
    Refusal::new("OOM there is no room for another counter: raise limit-maxmemory, or max_keys of the policy")
}

impl From<NotACounter> for Refusal {
    fn from(NotACounter: NotACounter) -> Refusal {
        Refusal::WRONG_TYPE
    }
}

impl From<Undecided> for Refusal {
    fn from(undecided: Undecided) -> Refusal {
        match undecided {
            Undecided::NotACounter(other) => other.into(),
            Undecided::Invalid(invalid) => invalid.into(),
        }
    }
}

impl From<InvalidParameter> for Refusal {
    fn from(invalid: InvalidParameter) -> Refusal {
        Refusal::new(format!("ERR {invalid}"))
    }
}
