//! The services: the one list that names them all.

use crate::command::{Command, CommandTable};
use crate::service::Service;
use crate::{admin, broker, cache, dispatch, limit, lock};

/// The rows of all services.
pub const SERVICES: &[&Service] =
    &[&admin::SERVICE, &cache::SERVICE, &limit::SERVICE, &lock::SERVICE, &broker::SERVICE];

/// The table of all commands.
pub fn command_table() -> CommandTable {
    let families = SERVICES.iter().flat_map(|service| service.commands);
    let families: Vec<&[Command]> = families.copied().chain([dispatch::transaction::COMMANDS]).collect();
    CommandTable::new(&families)
}
