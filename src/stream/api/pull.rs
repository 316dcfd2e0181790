//! What a pull asks a consumer for.

use super::get::size;
use super::request::Refusal;
use crate::stream::json::{Nanoseconds, members, read_known};

/// What a pull asks for, if it is JSON.
#[derive(Clone, Debug, Default, PartialEq)]
struct PullBody {
    expires: Nanoseconds,
    batch: i64,
    max_bytes: i64,
    no_wait: bool,
    idle_heartbeat: Nanoseconds,
    group: String,
    min_pending: i64,
    min_ack_pending: i64,
    pin: String,
    priority: i64,
}

members! { PullBody, "server.", {
    "expires" => expires IfSet,
    "batch" => batch IfSet,
    "max_bytes" => max_bytes IfSet,
    "no_wait" => no_wait IfSet,
    "idle_heartbeat" => idle_heartbeat IfSet,
    "group" => group IfSet,
    "min_pending" => min_pending IfSet,
    "min_ack_pending" => min_ack_pending IfSet,
    "id" => pin IfSet,
    "priority" => priority IfSet,
} }

/// What a pull asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// How many messages, at least one.
    pub batch: usize,
    /// How long it waits; zero for as long as its client stays, and less if it has expired already.
    pub expires: Nanoseconds,
    /// How many bytes it takes; zero for no limit.
    pub max_bytes: usize,
    /// Whether it takes what there is, and waits only if it expires.
    pub no_wait: bool,
    /// How often it is shown that the consumer lives; zero for never.
    pub idle_heartbeat: Nanoseconds,
    /// The priority group that it belongs to.
    pub group: String,
    /// It is served only while so many messages are left.
    pub min_pending: u64,
    /// It is served only while so many acknowledgements are waited for.
    pub min_ack_pending: u64,
    /// The pin that its client has.
    pub pin: String,
}

impl Pull {
    /// What the body of a pull says: nothing, a number, or an object.
    pub fn parse(body: &[u8]) -> Result<Pull, Refusal> {
        let body = body.trim_ascii();
        if body.first() != Some(&b'{') {
            let number = std::str::from_utf8(body).ok().and_then(|text| text.parse().ok());
            return Ok(Pull { batch: number.unwrap_or(1).max(1), ..Pull::default() });
        }
        let bad_request = |why: &str| Err(Refusal::Status(400, format!("Bad Request - {why}")));
        let mut read = PullBody::default();
        if let Err(error) = read_known(&mut read, body) {
            let text = error.description.strip_prefix("invalid JSON: ").unwrap_or(&error.description);
            return bad_request(text);
        }
        let (expires, heartbeat) = (read.expires, read.idle_heartbeat.max(Nanoseconds::ZERO));
        // A heartbeat that can hardly come before the end shows nothing.
        if heartbeat > Nanoseconds::ZERO && (expires.0 / 2) < heartbeat.0 {
            return bad_request("heartbeat value too large");
        }
        Ok(Pull {
            batch: size(read.batch).max(1),
            expires,
            max_bytes: size(read.max_bytes),
            no_wait: read.no_wait,
            idle_heartbeat: heartbeat,
            group: read.group,
            min_pending: u64::try_from(read.min_pending).unwrap_or_default(),
            min_ack_pending: u64::try_from(read.min_ack_pending).unwrap_or_default(),
            pin: read.pin,
        })
    }
}
