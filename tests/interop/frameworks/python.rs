//! Frameworks of Python: caches, locks, limits and queues of jobs.

use std::path::PathBuf;
use std::process::Command;

use crate::interop::program;
use crate::support::peers;

/// Runs `tests/interop/python/frameworks/SCRIPT` with this Python.
fn check(python: Option<PathBuf>, script: &str, packages: Option<PathBuf>, steps: &[&str]) {
    let Some(python) = python else { return };
    let command = || {
        let mut command = Command::new(&python);
        command.arg(program("python/frameworks").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(packages.iter().map(|folder| ("PYTHONPATH", folder)));
        command
    };
    super::check(command, steps);
}

/// The same for what needs a redis-py older than ours, which is beside it then.
fn check_with_earlier(script: &str, steps: &[&str]) {
    let Some(packages) = peers::earlier_python_packages() else { return };
    check(peers::python(&["redis"]), script, Some(packages), steps);
}

#[test]
fn celery() {
    let steps = [
        "priorities",
        "results",
        "chains_and_chords",
        "retries",
        "later",
        "remote_control",
        "events",
        "prefetched_tasks_go_back",
        "lost_message",
    ];
    check(peers::python(&["celery", "redis"]), "celery_program.py", None, &steps);
}

#[test]
fn dramatiq() {
    let steps = ["results", "pipelines_and_groups", "retries", "dead_letters", "later", "rate_limits"];
    check(peers::python(&["dramatiq", "redis"]), "dramatiq_program.py", None, &steps);
}

#[test]
fn huey() {
    let steps = ["results", "pipeline", "retries", "schedule", "lock", "priorities"];
    check(peers::python(&["huey", "redis"]), "huey_program.py", None, &steps);
}

#[test]
fn rq() {
    let steps = ["results", "dependencies", "retries", "failures", "later", "stopped_from_outside"];
    check_with_earlier("rq_program.py", &steps);
}

#[test]
fn arq() {
    let steps = ["results", "one_job_of_a_name", "retries", "later", "aborted", "health"];
    check_with_earlier("arq_program.py", &steps);
}

#[test]
fn django() {
    let steps = ["cache_of_django", "django_redis", "patterns", "sets_and_hashes", "locks", "sessions"];
    check(peers::python(&["django", "django_redis"]), "django_program.py", None, &steps);
}

#[test]
fn channels() {
    let steps = ["messages_in_order", "capacity", "groups", "over_publish"];
    check(peers::python(&["channels_redis"]), "channels_program.py", None, &steps);
}

#[test]
fn limits() {
    let steps = ["each_strategy", "in_many_threads", "window_that_ends", "asynchronous", "reset"];
    check(peers::python(&["limits", "redis", "coredis"]), "limits_program.py", None, &steps);
}

#[test]
fn limits_of_web_frameworks() {
    let python = peers::python(&["flask_limiter", "slowapi", "starlette", "httpx"]);
    check(python, "web_limits_program.py", None, &["flask", "slowapi"]);
}

#[test]
fn python_redis_lock() {
    let steps = ["handed_over", "expiry_and_renewal", "not_ours", "reset"];
    check(peers::python(&["redis_lock"]), "redis_lock_program.py", None, &steps);
}
