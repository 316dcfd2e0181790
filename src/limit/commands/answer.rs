//! How a check is answered: a map where the client speaks RESP3, else its values in the same order.

use quartet_protocol::resp::{Output, Version};

use crate::limit::summary::Summary;

/// One value of an answer.
enum Fact<'f> {
    Number(i64),
    Name(Option<&'f str>),
}

/// Answers a check: allowed (1 or 0), limit, remaining, milliseconds until a retry succeeds (-1 if there is nothing to
/// wait for), milliseconds until all is back, the limit that decided, whether a policy in shadow mode would have
/// refused (1 or 0), and milliseconds to wait before doing what was allowed.
pub(super) fn write(output: &mut Output, summary: &Summary<'_>) {
    let delay = summary.decision.filter(|_| summary.allowed).map_or(0, |decision| decision.delay_millis());
    let facts = [
        ("allowed", Fact::Number(i64::from(summary.allowed))),
        ("limit", Fact::Number(summary.limit())),
        ("remaining", Fact::Number(summary.remaining())),
        ("retry_after_ms", Fact::Number(summary.retry_after_millis())),
        ("reset_after_ms", Fact::Number(summary.reset_after_millis() as i64)),
        ("policy", Fact::Name(summary.name)),
        ("shadow", Fact::Number(i64::from(summary.is_shadow))),
        ("delay_ms", Fact::Number(delay as i64)),
    ];
    let is_map = output.version() == Version::Resp3;
    if is_map {
        output.map(facts.len());
    } else {
        output.array(facts.len());
    }
    for (name, fact) in facts {
        if is_map {
            output.bulk(name.as_bytes());
        }
        match fact {
            Fact::Number(number) => output.integer(number),
            Fact::Name(Some(name)) => output.bulk(name.as_bytes()),
            Fact::Name(None) => output.null(),
        }
    }
}
