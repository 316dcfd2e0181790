//! Frameworks of Node: locks, limits, queues of jobs and sessions.

use std::process::Command;

use crate::interop::program;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

/// Runs `tests/interop/node/frameworks/SCRIPT`, which needs this package.
fn check(package: &str, script: &str, steps: &[&str]) {
    let Some(node) = peers::node(package) else { return };
    let command = || {
        let mut command = Command::new(&node);
        command.arg(program("node/frameworks").join(script));
        command
    };
    super::check(command, steps);
}

#[test]
fn redlock_and_redis_semaphore() {
    let steps = [
        "redlock_hands_over",
        "redlock_over_many_keys",
        "redlock_that_was_lost",
        "mutex",
        "semaphore",
        "multi_semaphore",
        "with_many_servers",
        "refreshed",
    ];
    check("redlock", "locks.js", &steps);
}

#[test]
fn limiters() {
    let steps = ["rate_limit_redis", "rate_limiter_flexible", "bottleneck", "bottleneck_by_key"];
    check("bottleneck", "limits.js", &steps);
}

#[test]
fn bull() {
    let steps =
        ["priorities", "results", "one_job_of_a_name", "retries", "later", "progress", "repeated", "cleaned"];
    check("bull", "bull.js", &steps);
}

#[test]
fn bee_queue() {
    check("bee-queue", "bee_queue.js", &["results", "retries", "later", "health"]);
}

#[test]
fn sessions() {
    check("connect-redis", "sessions.js", &["visits", "kept", "destroyed"]);
}

/// Over HTTP, which redis-server does not speak.
#[test]
fn upstash_ratelimit() {
    let Some(node) = peers::node("@upstash/ratelimit") else { return };
    let server = Server::quartet(&["--http-port", "0", "--requirepass", "sesame"]);
    let url = format!("http://{}/redis", server.http_address());
    let mut command = Command::new(node);
    command.arg(program("node/frameworks/upstash_ratelimit.js")).args([url.as_str(), "sesame"]);
    let steps =
        ["fixed_window", "sliding_window", "token_bucket", "with_a_cache", "with_dynamic_limits", "scripts"];
    let ended = run(command).success();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), steps);
}
