//! Locks: acquire, hold, release.

use super::super::answers::{HttpAnswers, RespAnswers, is_http_status, json_member};
use super::super::operation::{Mix, Step};
use super::super::options::{MILLIS_MAX, Options};
use super::super::plan::Plan;
use super::super::target::Target;
use super::exchanges::Exchanges;

/// How much longer than it is held a lease lasts, in milliseconds: longer than any answer takes.
const LEASE_RESERVE: u64 = 30_000;

/// Releases a lock that a token still holds, as users of SET NX do it.
const RELEASE: &str =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";

/// The owner's name: each client has another one.
const OWNER: &str = "owner-__client__";

fn is_none(reply: &[u8]) -> bool {
    matches!(reply, [b'$' | b'*', b'-', ..] | [b'_', ..])
}

/// An acquisition waits on its connection, so the release of another client there would wait behind it for ever.
fn alone_if_waiting(options: &Options) -> Result<u64, String> {
    let wait = options.number("wait", 0..=MILLIS_MAX)?;
    if wait > 0 && options.text("pipeline") != "1" {
        return Err(
            "--wait needs --pipeline 1: what waits on a connection is before all that is sent behind it"
                .to_owned(),
        );
    }
    Ok(wait)
}

/// Locks of a RESP server: with LOCK.ACQUIRE if it has that, or else with SET NX and a script.
pub(super) fn lock(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let style = options.style()?;
    let (hold, wait) = (options.number("hold", 0..=MILLIS_MAX)?, alone_if_waiting(options)?);
    let (lease, patience) = ((hold + LEASE_RESERVE).to_string(), wait.to_string());
    let plan = |acquire: &[&str], release: &[&str]| {
        let first =
            Step { is_refusal: Some(is_none), pause: hold * 1000, ..Step::timed(style.command(acquire)) };
        let steps = vec![first, Step::untimed(style.command(release))];
        Exchanges::<RespAnswers>::new(options, Mix::one(steps))
            .map(|plan| plan.silent_for((hold + wait) * 1000))
    };
    let mut line = target.connect(b"")?;
    if line.command(&["LOCK.INFO", "quartet-bench"]).is_ok() {
        let mut acquire = vec!["LOCK.ACQUIRE", "__key__", OWNER, "TTL", &lease];
        if wait > 0 {
            acquire.extend(["WAIT", &patience]);
        }
        return Ok(Box::new(plan(&acquire, &["LOCK.RELEASE", "__key__", OWNER])?));
    }
    if wait > 0 {
        return Err(target.fault("it has no LOCK.ACQUIRE, which --wait needs"));
    }
    let loaded = line.command(&["SCRIPT", "LOAD", RELEASE]).map_err(|error| target.fault(&error))?;
    let digest = String::from_utf8_lossy(&loaded).lines().nth(1).unwrap_or_default().to_owned();
    let acquire = ["SET", "__key__", OWNER, "NX", "PX", &lease];
    let plan = plan(&acquire, &["EVALSHA", &digest, "1", "__key__", OWNER])?;
    Ok(Box::new(plan.in_words("SET NX PX and a script")))
}

/// Locks over HTTP.
pub(super) fn http_lock(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let style = options.style()?;
    let (hold, wait) = (options.number("hold", 0..=MILLIS_MAX)?, alone_if_waiting(options)?);
    let lease = hold + LEASE_RESERVE;
    let headers = target.http_headers();
    let json = format!("{headers}Content-Type: application/json\r\n");
    let body =
        format!("{{\"resource\":\"__key__\",\"owner\":\"{OWNER}\",\"ttl_ms\":{lease},\"wait_ms\":{wait}}}");
    let acquire = Step {
        is_refusal: Some(|answer| is_http_status(answer, 409)),
        taken: Some(|answer| json_member(answer, "lock_id")),
        pause: hold * 1000,
        ..Step::timed(style.http("POST", "/lock", &json, &body))
    };
    let release = Step::untimed(style.http("DELETE", "/lock/__answer__", &headers, ""));
    let plan = Exchanges::<HttpAnswers>::new(options, Mix::one(vec![acquire, release]))?;
    Ok(Box::new(plan.silent_for((hold + wait) * 1000)))
}
