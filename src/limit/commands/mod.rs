//! The commands of the rate limiter, a file per family.

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

use super::algorithm::InvalidParameter;
use super::nanos;
use super::operation::{Change, LimitError, Operation};
use super::persistence::explanation;
use super::policies::Table;
use super::policy::NAME_LENGTH_MAX;
use crate::command::{Call, Command, Flags, Group};
use crate::journal::NotAdmitted;
use crate::refusal::Refusal;
use crate::store::Patience;

/// The start of every row.
const ROW: Command = Command { since: "Quartet 0.1.0", group: Group::RateLimit, ..Command::ROW };

/// The start of the rows of HELP.
const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    flags: Flags::LOADING.union(Flags::STALE),
    ..ROW
};

/// Does an operation on the counters of the client's database.  If a command that takes long holds one of them, the command is held up.
fn run<'o, 's: 'o, O: Operation<'o>>(
    call: &mut Call<'_, 's>,
    policies: &'o Table,
    operation: O,
) -> Result<O::Answer, Refusal> {
    match call.services.run_limit(operation, policies, call.keyspace, call.slot) {
        Ok(answer) => Ok(answer?),
        Err(reason) => {
            call.hold_up(reason)?;
            // Nobody sees this: the command is run again.
            Err(Refusal::BUSY_SCRIPT)
        }
    }
}

/// The same for an operation that must not be done in two attempts: it waits here for commands that hold its counters.
fn run_patiently<'o, 's: 'o, O: Operation<'o>>(
    call: &mut Call<'_, 's>,
    policies: &'o Table,
    operation: O,
) -> Result<O::Answer, Refusal> {
    let patience = std::mem::replace(&mut call.keyspace.patience, Patience::Commands);
    let answer = run(call, policies, operation);
    call.keyspace.patience = patience;
    answer
}

/// Makes a change of an operator, and returns how many entries it changed.  The reply, which must not be written yet, waits
/// until the disk has the change.
fn change(call: &mut Call<'_, '_>, change: Change<'_>) -> Result<usize, Refusal> {
    let limits = &call.services.limits;
    let changed = limits.change(change, nanos(call.now()))?;
    if let Some(barrier) = limits.persistence.barrier() {
        call.delay_reply(barrier);
    }
    Ok(changed)
}

impl From<LimitError> for Refusal {
    #[cold]
    fn from(error: LimitError) -> Refusal {
        match error {
            LimitError::NoSuchPolicy(name) => no_such_policy(&name),
            LimitError::Invalid(invalid) => invalid.into(),
            LimitError::NotACounter => Refusal::WRONG_TYPE,
            LimitError::NoRoom => Refusal::new(
                "OOM there is no room for another counter: raise limit-maxmemory, or max_keys of the policy",
            ),
            LimitError::UnequalCosts => {
                Refusal::new("ERR UPTO takes the same from all: the costs must be equal")
            }
            LimitError::Held => Refusal::BUSY_SCRIPT,
            LimitError::NotSlots(name) => Refusal::new(format!(
                "ERR the policy '{name}' is not one limit with the algorithm concurrency"
            )),
            LimitError::NotKept(reason) => {
                let code = match reason {
                    NotAdmitted::Unmade(_) | NotAdmitted::Failed => "MISCONF",
                    NotAdmitted::Behind | NotAdmitted::Stalled => "TRYAGAIN",
                };
                Refusal::new(format!("{code} {}", explanation(&reason)))
            }
        }
    }
}

fn no_such_policy(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(&name[..name.len().min(NAME_LENGTH_MAX)]).escape_debug().to_string();
    Refusal::new(format!("ERR there is no policy '{name}'; RL.POLICY SET makes one"))
}

impl From<InvalidParameter> for Refusal {
    fn from(invalid: InvalidParameter) -> Refusal {
        Refusal::new(format!("ERR {invalid}"))
    }
}
