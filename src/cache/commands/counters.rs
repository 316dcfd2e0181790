//! Strings as numbers: INCR, DECR and their kin.

use quartet_protocol::resp::number::{integer_text, parse_integer};

use super::long_double::{LongDouble, Spelled};
use super::strings::STRING;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "incr",
        syntax: "key",
        summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::Data(incr),
        ..COUNTER
    },
    Command {
        name: "decr",
        syntax: "key",
        summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::Data(decr),
        ..COUNTER
    },
    Command {
        name: "incrby",
        syntax: "key increment",
        summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't \
                  exist.",
        handler: Handler::Data(incrby),
        ..COUNTER
    },
    Command {
        name: "decrby",
        syntax: "key decrement",
        summary: "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't \
                  exist.",
        handler: Handler::Data(decrby),
        ..COUNTER
    },
    Command {
        name: "incrbyfloat",
        syntax: "key increment",
        summary: "Increments the floating point value of a key by a number. Uses 0 as initial value if the key \
                  doesn't exist.",
        since: "2.6.0",
        handler: Handler::Data(incrbyfloat),
        ..COUNTER
    },
];

/// The start of the rows of commands that count.
pub(super) const COUNTER: Command = Command {
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
    ..STRING
};

fn incr(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    increase(call, 1)
}

fn decr(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    increase(call, -1)
}

fn incrby(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let increment = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    increase(call, increment)
}

fn decrby(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let decrement = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let increment = decrement.checked_neg().ok_or_else(|| Refusal::new("ERR decrement would overflow"))?;
    increase(call, increment)
}

fn increase(call: &mut Call<'_, '_>, increment: i64) -> Result<(), Refusal> {
    let key = call.key(1);
    let access = call.keyspace.access;
    let mut sum = 0;
    call.keyspace.shard(&key).revise(&key, &access, |old| {
        let old = old.map_or(Some(0), parse_integer).ok_or(Refusal::NOT_AN_INTEGER)?;
        sum = old.checked_add(increment).ok_or(Refusal::OVERFLOW)?;
        Ok::<_, Refusal>(integer_text(sum))
    })?;
    call.output.integer(sum);
    Ok(())
}

fn incrbyfloat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let access = call.keyspace.access;
    let increment = call.arguments.at(2);
    let mut sum = String::new();
    call.keyspace.shard(&key).revise(&key, &access, |old| {
        // Redis reads both numbers before it looks whether they are finite.
        let old = LongDouble::parse(old.unwrap_or(b"0")).ok_or(Refusal::NOT_A_FLOAT)?;
        let increment = finite(increment);
        let Spelled::Finite(old) = old else { return Err(increment.err().unwrap_or(Refusal::NOT_FINITE)) };
        sum = old.add(increment?).ok_or(Refusal::NOT_FINITE)?.text();
        Ok::<_, Refusal>(sum.clone())
    })?;
    call.output.bulk(sum.as_bytes());
    Ok(())
}

/// The number a text spells, in sums with which an infinite one is refused.
pub(super) fn finite(text: &[u8]) -> Result<LongDouble, Refusal> {
    match LongDouble::parse(text).ok_or(Refusal::NOT_A_FLOAT)? {
        Spelled::Finite(number) => Ok(number),
        Spelled::Infinite => Err(Refusal::NOT_FINITE),
    }
}
