//! What clients can say to the rate limiter, a file per family.

mod answer;
pub mod check;
pub mod corrections;
pub mod lists;
pub mod policy;
pub mod reservations;
pub mod slots;
pub mod statistics;
pub mod throttle;
mod words;

use super::algorithm::InvalidParameter;
use super::check::NotACounter;
use crate::command::{Command, Flags, Group};
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

impl From<NotACounter> for Refusal {
    fn from(NotACounter: NotACounter) -> Refusal {
        Refusal::WRONG_TYPE
    }
}

impl From<InvalidParameter> for Refusal {
    fn from(invalid: InvalidParameter) -> Refusal {
        Refusal::new(format!("ERR {invalid}"))
    }
}
