//! The replies to checks: a map in RESP3, and its values in the same order in RESP2.

use quartet_protocol::resp::{Output, Version};

use crate::limit::admission::Summary;

/// One value of an answer.
#[derive(Clone, Copy)]
enum Fact<'f> {
    Number(i64),
    Name(Option<&'f str>),
}

/// Replies to a check: allowed (1 or 0), limit, remaining, milliseconds until a retry succeeds (-1 if there is nothing to
/// wait for), milliseconds until all is back, the limit that decided, whether a policy in shadow mode would have
/// refused (1 or 0), and milliseconds to wait before going on.
pub(super) fn write(output: &mut Output, summary: &Summary<impl AsRef<str>>) {
    write_all(output, facts_of(summary).into_iter());
}

/// Replies to a check that takes as much as is left: the fields of [`write()`], then the amount that it took.
pub(super) fn write_taken(output: &mut Output, taken: u64, summary: &Summary<&str>) {
    let own = [("taken", Fact::Number(taken as i64))];
    write_all(output, facts_of(summary).into_iter().chain(own));
}

/// Replies to a reservation: its id and for how many milliseconds it is open, then the fields of [`write()`].
pub(super) fn write_reservation(output: &mut Output, taken: Option<(u64, u64)>, summary: &Summary<&str>) {
    let id = taken.map(|(id, _)| format!("{id:016x}"));
    let expires_in = taken.map_or(0, |(_, millis)| millis as i64);
    let own = [("id", Fact::Name(id.as_deref())), ("expires_in_ms", Fact::Number(expires_in))];
    write_all(output, own.into_iter().chain(facts_of(summary)));
}

/// Replies to a request for a slot: the slot, then the fields of [`write()`].
pub(super) fn write_slot(output: &mut Output, slot: Option<String>, summary: &Summary<&str>) {
    let own = [("slot", Fact::Name(slot.as_deref()))];
    write_all(output, own.into_iter().chain(facts_of(summary)));
}

fn facts_of<N: AsRef<str>>(summary: &Summary<N>) -> [(&'static str, Fact<'_>); 8] {
    [
        ("allowed", Fact::Number(i64::from(summary.allowed))),
        ("limit", Fact::Number(summary.limit())),
        ("remaining", Fact::Number(summary.remaining())),
        ("retry_after_ms", Fact::Number(summary.retry_after_millis())),
        ("reset_after_ms", Fact::Number(summary.reset_after_millis() as i64)),
        ("policy", Fact::Name(summary.name.as_ref().map(AsRef::as_ref))),
        ("shadow", Fact::Number(i64::from(summary.is_shadow))),
        ("delay_ms", Fact::Number(summary.delay_millis() as i64)),
    ]
}

fn write_all<'f>(output: &mut Output, facts: impl Iterator<Item = (&'static str, Fact<'f>)> + Clone) {
    let is_map = output.version() == Version::Resp3;
    let count = facts.clone().count();
    if is_map {
        output.map(count);
    } else {
        output.array(count);
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
