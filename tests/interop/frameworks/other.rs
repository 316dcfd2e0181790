//! Frameworks of languages with one job each: PHP and Ruby.

use std::process::Command;

use crate::interop::program;
use crate::support::peers;

#[test]
fn phpredis_with_sessions() {
    let Some(php) = peers::php("redis") else { return };
    let command = || {
        let mut command = Command::new(&php);
        command.arg(program("php/program.php"));
        command
    };
    super::check(command, &["values", "scripts", "transactions", "sessions", "locked_sessions"]);
}

#[test]
fn sidekiq() {
    let (Some(_), Some(ruby)) = (peers::peer("sidekiq"), peers::peer("ruby")) else { return };
    let command = || {
        let mut command = Command::new(&ruby);
        command.arg(program("ruby/sidekiq_program.rb"));
        command
    };
    super::check(command, &["results", "later", "retries", "dead_jobs", "ended", "statistics"]);
}
