//! How long keys live: setting a deadline, asking for it, taking it back.
//!
//! Clients speak of seconds or milliseconds, from now or since 1970; the store knows milliseconds on its own clock.

use quartet_protocol::resp::number::parse_integer;

use super::strings::reply_value;
use crate::clock::Now;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::Deadline;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "expire",
        syntax: "key seconds [NX | XX | GT | LT]",
        summary: "Sets the expiration time of a key in seconds.",
        handler: Handler::Data(expire),
        ..SETS
    },
    Command {
        name: "pexpire",
        syntax: "key milliseconds [NX | XX | GT | LT]",
        summary: "Sets the expiration time of a key in milliseconds.",
        since: "2.6.0",
        handler: Handler::Data(pexpire),
        ..SETS
    },
    Command {
        name: "expireat",
        syntax: "key unix-time-seconds [NX | XX | GT | LT]",
        summary: "Sets the expiration time of a key to a Unix timestamp.",
        since: "1.2.0",
        handler: Handler::Data(expireat),
        ..SETS
    },
    Command {
        name: "pexpireat",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
        summary: "Sets the expiration time of a key to a Unix milliseconds timestamp.",
        since: "2.6.0",
        handler: Handler::Data(pexpireat),
        ..SETS
    },
    Command {
        name: "persist",
        syntax: "key",
        summary: "Removes the expiration time of a key.",
        since: "2.2.0",
        handler: Handler::Data(persist),
        ..SETS
    },
    Command {
        name: "ttl",
        syntax: "key",
        summary: "Returns the expiration time in seconds of a key.",
        handler: Handler::Data(ttl),
        ..TELLS
    },
    Command {
        name: "pttl",
        syntax: "key",
        summary: "Returns the expiration time in milliseconds of a key.",
        since: "2.6.0",
        handler: Handler::Data(pttl),
        ..TELLS
    },
    Command {
        name: "expiretime",
        syntax: "key",
        summary: "Returns the expiration time of a key as a Unix timestamp.",
        since: "7.0.0",
        handler: Handler::Data(expiretime),
        ..TELLS
    },
    Command {
        name: "pexpiretime",
        syntax: "key",
        summary: "Returns the expiration time of a key as a Unix milliseconds timestamp.",
        since: "7.0.0",
        handler: Handler::Data(pexpiretime),
        ..TELLS
    },
    Command {
        name: "getpttl",
        syntax: "key",
        summary: "Returns the string value of a key together with its remaining time to live in milliseconds: -1 if it has \
                  none, and null with -2 if there is no such key.",
        since: "Quartet 0.1.0",
        group: Group::String,
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(getpttl),
        ..Command::ROW
    },
];

/// The start of the rows that change a deadline.
const SETS: Command = Command {
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteUpdate),
    ..Command::ROW
};

/// The start of the rows that reply with a deadline.
const TELLS: Command = Command {
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadAccess),
    ..Command::ROW
};

/// The replies of TTL and its kin for a missing key, and for one that lives until it is deleted.
const NO_KEY: i64 = -2;
const NO_DEADLINE: i64 = -1;

const MILLIS_PER_SECOND: i64 = 1000;

/// How a command writes down a time.
#[derive(Clone, Copy)]
struct Notation {
    /// Milliseconds in one unit.
    unit: i64,
    /// The start from which the number counts.
    origin: Origin,
}

#[derive(Clone, Copy)]
enum Origin {
    Now,
    Epoch,
}

fn expire(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_deadline(call, Notation { unit: MILLIS_PER_SECOND, origin: Origin::Now })
}

fn pexpire(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_deadline(call, Notation { unit: 1, origin: Origin::Now })
}

fn expireat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_deadline(call, Notation { unit: MILLIS_PER_SECOND, origin: Origin::Epoch })
}

fn pexpireat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_deadline(call, Notation { unit: 1, origin: Origin::Epoch })
}

fn set_deadline(call: &mut Call<'_, '_>, notation: Notation) -> Result<(), Refusal> {
    let condition = Condition::parse(call)?;
    let number = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let now = call.now();
    let Some(wall_millis) = wall_millis(number, notation, now) else {
        let name = call.row.command.name;
        return Err(Refusal::new(format!("ERR invalid expire time in '{name}' command")));
    };
    let key = call.key(1);
    let Some(current) = call.keyspace.find(&key).map(|entry| entry.deadline()) else {
        call.output.integer(0);
        return Ok(());
    };
    let current = current.map(|deadline| now.wall_of_deadline(deadline));
    if !condition.allows(current, wall_millis) {
        call.output.integer(0);
        return Ok(());
    }
    match now.deadline_at_wall(wall_millis).filter(|&deadline| deadline > now.millis()) {
        Some(deadline) => call.keyspace.set_deadline(&key, Some(deadline)),
        None => call.keyspace.remove(&key),
    };
    call.output.integer(1);
    Ok(())
}

/// The wall time of a number in some notation, unless it exceeds 64 bits of milliseconds.
fn wall_millis(number: i64, notation: Notation, now: Now) -> Option<i64> {
    let millis = number.checked_mul(notation.unit)?;
    match notation.origin {
        Origin::Epoch => Some(millis),
        Origin::Now => now.wall_millis().checked_add(millis),
    }
}

/// When EXPIRE and its kin leave a key as it is.
#[derive(Clone, Copy, Default, Debug)]
struct Condition {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_sooner: bool,
}

impl Condition {
    fn parse(call: &Call<'_, '_>) -> Result<Condition, Refusal> {
        let mut condition = Condition::default();
        for word in call.arguments.from(3).iter() {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => condition.only_without = true,
                b"xx" => condition.only_with = true,
                b"gt" => condition.only_later = true,
                b"lt" => condition.only_sooner = true,
                _ => {
                    let shown = String::from_utf8_lossy(word);
                    return Err(Refusal::new(format!("ERR Unsupported option {shown}")));
                }
            }
        }
        let Condition { only_without, only_with, only_later, only_sooner } = condition;
        if only_without && (only_with || only_later || only_sooner) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Refusal::new(text));
        }
        if only_later && only_sooner {
            return Err(Refusal::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// Whether a key that lives until `current` may live until `new`.  No deadline counts as the latest of all.
    fn allows(self, current: Option<i64>, new: i64) -> bool {
        !(self.only_without && current.is_some()
            || self.only_with && current.is_none()
            || self.only_later && current.is_none_or(|current| new <= current)
            || self.only_sooner && current.is_some_and(|current| new >= current))
    }
}

fn persist(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    // A pinned entry is kept as long as it matters, which its deadline says.
    let volatile = call
        .keyspace
        .find(&key)
        .is_some_and(|entry| entry.deadline().is_some() && entry.pinned_state().is_err());
    let persisted = volatile && call.keyspace.set_deadline(&key, None);
    call.output.integer(i64::from(persisted));
    Ok(())
}

fn ttl(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    tell(call, |now, deadline| in_seconds(remaining(now, deadline)))
}

fn pttl(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    tell(call, remaining)
}

fn expiretime(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    tell(call, |now, deadline| in_seconds(now.wall_of_deadline(deadline)))
}

fn pexpiretime(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    tell(call, Now::wall_of_deadline)
}

fn tell(call: &mut Call<'_, '_>, show: impl Fn(Now, Deadline) -> i64) -> Result<(), Refusal> {
    let key = call.key(1);
    let now = call.now();
    let answer = match call.keyspace.inspect(&key).map(|entry| entry.deadline()) {
        None => NO_KEY,
        Some(None) => NO_DEADLINE,
        Some(Some(deadline)) => show(now, deadline),
    };
    call.output.integer(answer);
    Ok(())
}

fn getpttl(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (key, now) = (call.key(1), call.now());
    call.output.array(2);
    let entry = call.keyspace.read(&key);
    let left = entry.map(|entry| entry.deadline().map_or(NO_DEADLINE, |deadline| remaining(now, deadline)));
    reply_value(call.output, entry)?;
    call.output.integer(left.unwrap_or(NO_KEY));
    Ok(())
}

fn remaining(now: Now, deadline: Deadline) -> i64 {
    i64::try_from(deadline.saturating_sub(now.millis())).unwrap_or(i64::MAX)
}

/// The nearest whole second, as Redis rounds.
fn in_seconds(millis: i64) -> i64 {
    millis.saturating_add(MILLIS_PER_SECOND / 2) / MILLIS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let cases = [(0, 0), (1, 0), (499, 0), (500, 1), (1499, 1), (1500, 2), (i64::MAX, i64::MAX / 1000)];
        for (millis, expected) in cases {
            assert_eq!(in_seconds(millis), expected, "{millis}");
        }
    }

    #[test]
    fn times_beyond_64_bits_of_milliseconds_are_refused() {
        let now = Now::at(Duration::from_secs(10), Duration::from_secs(1_000));
        let seconds = |origin| Notation { unit: MILLIS_PER_SECOND, origin };
        assert_eq!(wall_millis(5, seconds(Origin::Now), now), Some(1_005_000));
        assert_eq!(wall_millis(5, seconds(Origin::Epoch), now), Some(5_000));
        assert_eq!(wall_millis(i64::MAX, seconds(Origin::Epoch), now), None);
        assert_eq!(wall_millis(i64::MIN, seconds(Origin::Now), now), None);
        assert_eq!(wall_millis(i64::MAX, Notation { unit: 1, origin: Origin::Now }, now), None);
    }
}
