//! Numbers in the fields of hashes: HINCRBY and HINCRBYFLOAT.

use quartet_protocol::resp::number::{integer_text, parse_integer};

use super::hashes::{WRITES, require_room, write_hash};
use super::long_double::{LongDouble, Spelled};
use crate::command::{Call, Command, Handler, KeyAccess, Keys, Parts};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hincrby",
        syntax: "key field increment",
        summary: "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the \
                  field doesn't exist.",
        parts: Parts::ONE,
        handler: Handler::Data(hincrby),
        ..COUNTS
    },
    Command {
        name: "hincrbyfloat",
        syntax: "key field increment",
        summary: "Increments the floating point value of a field by a number. Uses 0 as initial value if the field \
                  doesn't exist.",
        since: "2.6.0",
        parts: Parts::ONE,
        handler: Handler::Data(hincrbyfloat),
        ..COUNTS
    },
];

/// The start of both rows.
const COUNTS: Command = Command { keys: Keys::first(KeyAccess::ReadWriteAccessUpdate), ..WRITES };

fn hincrby(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let field = call.arguments.at(2);
    let increment = parse_integer(call.arguments.at(3)).ok_or(Refusal::NOT_AN_INTEGER)?;
    call.require_value_size(field.len())?;
    let key = call.key(1);
    let sum = write_hash(call, &key, |hash| {
        let old = hash.hash().get(field).map_or(Some(0), |value| parse_integer(&value));
        let old = old.ok_or_else(|| Refusal::new("ERR hash value is not an integer"))?;
        let sum = old.checked_add(increment).ok_or(Refusal::OVERFLOW)?;
        require_room(hash, 1)?;
        hash.set_value(field, &integer_text(sum));
        Ok(sum)
    })?;
    call.output.integer(sum);
    Ok(())
}

fn hincrbyfloat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let field = call.arguments.at(2);
    let increment = match LongDouble::parse(call.arguments.at(3)).ok_or(Refusal::NOT_A_FLOAT)? {
        Spelled::Finite(increment) => increment,
        Spelled::Infinite => return Err(Refusal::new("ERR value is NaN or Infinity")),
    };
    call.require_value_size(field.len())?;
    let key = call.key(1);
    let sum = write_hash(call, &key, |hash| {
        let old = LongDouble::parse(hash.hash().get(field).as_deref().unwrap_or(b"0"));
        let old = old.ok_or_else(|| Refusal::new("ERR hash value is not a float"))?;
        let Spelled::Finite(old) = old else { return Err(Refusal::NOT_FINITE) };
        let sum = old.add(increment).ok_or(Refusal::NOT_FINITE)?.text();
        require_room(hash, 1)?;
        hash.set_value(field, sum.as_bytes());
        Ok(sum)
    })?;
    call.output.bulk(sum.as_bytes());
    Ok(())
}
