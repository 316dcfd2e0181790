//! All commands: the families in the order of the documentation.

use crate::broker;
use crate::cache::commands::{
    conditional_delete, counters, databases, expiry, increx, keys, lcs, multi_key, object, prefixes, ranges,
    scan, strings,
};
use crate::command::{Command, CommandTable};
use crate::limit::commands::{check, corrections, lists, policy, reservations, slots, statistics, throttle};
use crate::lock;
use crate::{admin, connection, dispatch};

/// The tables of all families.
pub const FAMILIES: &[&[Command]] = &[
    keys::COMMANDS,
    expiry::COMMANDS,
    scan::COMMANDS,
    prefixes::COMMANDS,
    databases::COMMANDS,
    object::COMMANDS,
    strings::COMMANDS,
    counters::COMMANDS,
    ranges::COMMANDS,
    multi_key::COMMANDS,
    lcs::COMMANDS,
    conditional_delete::COMMANDS,
    increx::COMMANDS,
    connection::COMMANDS,
    throttle::COMMANDS,
    check::COMMANDS,
    policy::COMMANDS,
    reservations::COMMANDS,
    slots::COMMANDS,
    corrections::COMMANDS,
    lists::COMMANDS,
    statistics::COMMANDS,
    lock::commands::acquire::COMMANDS,
    lock::commands::holders::COMMANDS,
    lock::commands::sessions::COMMANDS,
    lock::commands::reports::COMMANDS,
    lock::commands::fenced::COMMANDS,
    broker::commands::COMMANDS,
    dispatch::transaction::COMMANDS,
    admin::command::COMMANDS,
    admin::config::COMMANDS,
    admin::info::COMMANDS,
    admin::slowlog::COMMANDS,
    admin::latency::COMMANDS,
    admin::memory::COMMANDS,
    admin::lifecycle::COMMANDS,
    admin::access::COMMANDS,
    admin::cluster::COMMANDS,
    admin::debug::COMMANDS,
];

/// The table of all commands.
pub fn command_table() -> CommandTable {
    CommandTable::new(FAMILIES)
}
