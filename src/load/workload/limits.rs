//! Checks of rate limits.

use super::super::answers::{HttpAnswers, RespAnswers, is_http_status};
use super::super::operation::{Mix, Step};
use super::super::options::Options;
use super::super::plan::Plan;
use super::super::target::Target;
use super::exchanges::Exchanges;

/// The generic cell rate algorithm as limiters on Redis run it, for servers that have no limiter.
const SCRIPT: &str = include_str!("limit.lua");

/// A hundred at once, and a thousand a minute.
const RATE: [&str; 3] = ["100", "1000", "60"];

/// Whether the first part of a reply says that the request is over the limit.
fn is_one(reply: &[u8]) -> bool {
    first_part(reply) == Some(b":1")
}

fn is_zero(reply: &[u8]) -> bool {
    first_part(reply) == Some(b":0")
}

fn first_part(reply: &[u8]) -> Option<&[u8]> {
    let line = reply.split(|byte| *byte == b'\n').nth(1)?;
    line.strip_suffix(b"\r")
}

/// Checks of a RESP server: with CL.THROTTLE or RL.CHECK, or with what the server has in their place.
pub(super) fn limit(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let style = options.style()?;
    let plan = |words: &[&str], is_refusal: fn(&[u8]) -> bool| {
        let step = Step { is_refusal: Some(is_refusal), ..Step::timed(style.command(words)) };
        Exchanges::<RespAnswers>::new(options, Mix::one(vec![step]))
    };
    let policy = options.text("policy");
    if !policy.is_empty() {
        return Ok(Box::new(plan(&["RL.CHECK", "__key__", "POLICY", policy], is_zero)?));
    }
    let [burst, count, period] = RATE;
    let mut line = target.connect(b"")?;
    let probe = format!("{}probe", options.text("prefix"));
    let probe = probe.as_str();
    if line.command(&["CL.THROTTLE", probe, burst, count, period]).is_ok() {
        return Ok(Box::new(plan(&["CL.THROTTLE", "__key__", burst, count, period], is_one)?));
    }
    if line.command(&["THROTTLE", probe, burst, count, period]).is_ok() {
        let plan = plan(&["THROTTLE", "__key__", burst, count, period], is_zero)?;
        return Ok(Box::new(plan.in_words("THROTTLE")));
    }
    let loaded = line.command(&["SCRIPT", "LOAD", SCRIPT]).map_err(|error| target.fault(&error))?;
    let digest = String::from_utf8_lossy(&loaded).lines().nth(1).unwrap_or_default().to_owned();
    let plan = plan(&["EVALSHA", &digest, "1", "__key__", burst, count, period, "1"], is_zero)?;
    Ok(Box::new(plan.in_words("a script in Lua")))
}

/// Checks over HTTP.
pub(super) fn http_check(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let style = options.style()?;
    let path = match options.text("policy") {
        "" => "/check".to_owned(),
        policy => format!("/check?policy={policy}"),
    };
    let headers = format!("{}X-User-ID: __key__\r\n", target.http_headers());
    let is_refusal: fn(&[u8]) -> bool = |answer| is_http_status(answer, 429);
    let step = Step { is_refusal: Some(is_refusal), ..Step::timed(style.http("GET", &path, &headers, "")) };
    Ok(Box::new(Exchanges::<HttpAnswers>::new(options, Mix::one(vec![step]))?))
}
