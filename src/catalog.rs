//! The services: the one list that names them all.

use crate::command::{Command, CommandTable};
use crate::service::Service;
use crate::{admin, broker, cache, limit, lock, script, stream};

/// The rows of all services.
pub const SERVICES: &[&Service] = &[
    &admin::SERVICE,
    &cache::SERVICE,
    &limit::SERVICE,
    &lock::SERVICE,
    &broker::SERVICE,
    &stream::SERVICE,
    &script::SERVICE,
];

/// The table of all commands.
pub fn command_table() -> CommandTable {
    let families: Vec<&[Command]> = SERVICES.iter().flat_map(|service| service.commands).copied().collect();
    CommandTable::new(&families)
}

#[cfg(test)]
mod tests {
    use super::command_table;
    use crate::command::executor::unknown::is_of_redis;

    #[test]
    fn built_commands_are_not_listed_as_missing() {
        for row in command_table().rows() {
            let mut words = row.name.as_bytes().splitn(2, |&byte| byte == b'|');
            let (name, subcommand) = (words.next().unwrap_or_default(), words.next());
            assert!(!is_of_redis(name, subcommand), "{} is built: take it off the list", row.name);
        }
    }

    #[test]
    fn one_command_runs_the_queues_of_transactions() {
        assert_eq!(command_table().queue_runner().name, "exec");
    }
}
