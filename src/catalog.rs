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
    fn requests_are_over_soon_unless_values_or_counts_make_them_long() {
        let table = command_table();
        let is_over_soon = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let row = table.resolve(words[0], words.get(1).copied()).expect("there is such a command");
            row.is_over_soon(words.len())
        };
        for line in [
            "GET k",
            "SET k v",
            "HGET k f",
            "SPOP k",
            "LPOP k",
            "SADD k m",
            "DEL k",
            "RL.CHECK k",
            "SCRIPT KILL",
        ] {
            assert!(is_over_soon(line), "{line}");
        }
        let many = format!("SADD k{}", " m".repeat(100));
        for line in [
            "SPOP k 9",
            "LPOP k 9",
            "ZPOPMIN k 9",
            "SMEMBERS k",
            "LRANGE k 0 1",
            "SORT k",
            "KEYS *",
            "SCAN 0",
            "EVAL s 0",
            "EVALSHA_RO s 0",
            "FCALL f 0",
            "FLUSHALL",
            "MOVE k 1",
            "RL.COMMIT i 1",
            "RESTORE k 0 v",
            "DEBUG SLEEP 1",
            &many,
        ] {
            assert!(!is_over_soon(line), "{line}");
        }
    }

    #[test]
    fn one_command_runs_the_queues_of_transactions() {
        assert_eq!(command_table().queue_runner().name, "exec");
    }
}
