//! When fields of a hash expire: setting deadlines, asking for them, taking them back.
//!
//! The replies of the family are arrays with a number for each field: -2 if there is no such field.  The texts of refusals are
//! those of Redis 8.

use std::ops::Range;

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::hashes::{HASH, hash_of, limits};
use crate::clock::Now;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Deadline, HashWriter};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hexpire",
        syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        summary: "Sets expiry for hash fields using a relative time to expire (seconds).",
        handler: Handler::Data(|call| expire(call, SECONDS)),
        ..SETS
    },
    Command {
        name: "hpexpire",
        syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        summary: "Sets expiry for hash fields using a relative time to expire (milliseconds).",
        handler: Handler::Data(|call| expire(call, MILLISECONDS)),
        ..SETS
    },
    Command {
        name: "hexpireat",
        syntax: "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        summary: "Sets expiry for hash fields using an absolute Unix timestamp (seconds).",
        handler: Handler::Data(|call| expire(call, UNIX_SECONDS)),
        ..SETS
    },
    Command {
        name: "hpexpireat",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        summary: "Sets expiry for hash fields using an absolute Unix timestamp (milliseconds).",
        handler: Handler::Data(|call| expire(call, UNIX_MILLISECONDS)),
        ..SETS
    },
    Command {
        name: "hpersist",
        syntax: "key FIELDS numfields field [field ...]",
        summary: "Removes the expiration time for each specified field.",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        handler: Handler::Data(persist),
        ..SETS
    },
    Command {
        name: "httl",
        summary: "Returns the TTL in seconds of a hash field.",
        handler: Handler::Data(|call| tell(call, SECONDS)),
        ..TELLS
    },
    Command {
        name: "hpttl",
        summary: "Returns the TTL in milliseconds of a hash field.",
        handler: Handler::Data(|call| tell(call, MILLISECONDS)),
        ..TELLS
    },
    Command {
        name: "hexpiretime",
        summary: "Returns the expiration time of a hash field as a Unix timestamp, in seconds.",
        handler: Handler::Data(|call| tell(call, UNIX_SECONDS)),
        ..TELLS
    },
    Command {
        name: "hpexpiretime",
        summary: "Returns the expiration time of a hash field as a Unix timestamp, in msec.",
        handler: Handler::Data(|call| tell(call, UNIX_MILLISECONDS)),
        ..TELLS
    },
];

/// The start of the rows that change deadlines.
const SETS: Command = Command {
    complexity: "O(N) where N is the number of specified fields",
    since: "7.4.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteUpdate),
    ..HASH
};

/// The start of the rows that reply with deadlines.
const TELLS: Command = Command {
    syntax: "key FIELDS numfields field [field ...]",
    complexity: "O(N) where N is the number of specified fields",
    since: "7.4.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadOnly),
    ..HASH
};

const MILLIS_PER_SECOND: i64 = 1000;

/// The latest deadline of a field, in milliseconds since 1970: as in Redis, which keeps 46 bits of it.
const WALL_MAX: i64 = 0xffff_ffff_fffe >> 2;

/// The replies for a field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const UNCHANGED: i64 = 0;
const CHANGED: i64 = 1;
const REMOVED: i64 = 2;

/// How a command writes down a time: milliseconds in a unit, and whether it counts from 1970.
#[derive(Clone, Copy)]
pub(super) struct Notation {
    unit: i64,
    is_absolute: bool,
}

pub(super) const SECONDS: Notation = Notation { unit: MILLIS_PER_SECOND, is_absolute: false };
pub(super) const MILLISECONDS: Notation = Notation { unit: 1, is_absolute: false };
pub(super) const UNIX_SECONDS: Notation = Notation { unit: MILLIS_PER_SECOND, is_absolute: true };
pub(super) const UNIX_MILLISECONDS: Notation = Notation { unit: 1, is_absolute: true };

/// When HEXPIRE and its kin leave a field as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    OnlyWithout,
    OnlyWith,
    OnlyLater,
    OnlySooner,
}

/// The moment that a command names.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// It is still to come.
    Ahead(Deadline),
    /// The deadline has passed, so the field is removed.
    Past,
}

impl Notation {
    /// The moment that a number names, as this command writes down times.
    ///
    /// # Errors
    /// If there is no such moment.
    pub(super) fn moment(self, number: &[u8], command: &str, now: Now) -> Result<Moment, Refusal> {
        let number = parse_integer(number).ok_or(Refusal::NOT_AN_INTEGER)?;
        if number < 0 {
            return Err(Refusal::new("ERR invalid expire time, must be >= 0"));
        }
        let origin = if self.is_absolute { 0 } else { now.wall_millis() };
        let wall = number.checked_mul(self.unit).and_then(|millis| millis.checked_add(origin));
        let wall = wall
            .filter(|&wall| wall <= WALL_MAX)
            .ok_or_else(|| Refusal::new(format!("ERR invalid expire time in '{command}' command")))?;
        let deadline = now.deadline_at_wall(wall).filter(|&deadline| deadline > now.millis());
        Ok(deadline.map_or(Moment::Past, Moment::Ahead))
    }

    fn show(self, deadline: Deadline, now: Now) -> i64 {
        let millis = match self.is_absolute {
            true => now.wall_of_deadline(deadline),
            false => i64::try_from(deadline.saturating_sub(now.millis())).unwrap_or(i64::MAX),
        };
        // Rounded up, unlike the time of a key.
        millis.saturating_add(self.unit - 1) / self.unit
    }
}

impl Condition {
    fn parse(word: &[u8]) -> Option<Condition> {
        match word.to_ascii_lowercase().as_slice() {
            b"nx" => Some(Condition::OnlyWithout),
            b"xx" => Some(Condition::OnlyWith),
            b"gt" => Some(Condition::OnlyLater),
            b"lt" => Some(Condition::OnlySooner),
            _ => None,
        }
    }

    /// Whether a field that lives until `current` may live until `new`.  No deadline counts as the latest of all.
    fn allows(self, current: Option<Deadline>, new: Moment) -> bool {
        let new = match new {
            Moment::Ahead(deadline) => deadline,
            Moment::Past => 0,
        };
        match self {
            Condition::Always => true,
            Condition::OnlyWithout => current.is_none(),
            Condition::OnlyWith => current.is_some(),
            Condition::OnlyLater => current.is_some_and(|current| new > current),
            Condition::OnlySooner => current.is_none_or(|current| new < current),
        }
    }
}

fn expire(call: &mut Call<'_, '_>, notation: Notation) -> Result<(), Refusal> {
    let key = call.key(1);
    let is_there = call.keyspace.find(&key).map(hash_of).transpose()?.is_some();
    let moment = notation.moment(call.arguments.at(2), call.row.command.name, call.now())?;
    let condition = Condition::parse(call.arguments.at(3));
    let at = 3 + usize::from(condition.is_some());
    let fields = fields(call.arguments, at, "ERR Parameter `numFields` should be greater than 0")?;
    let condition = condition.unwrap_or(Condition::Always);
    if !is_there {
        return write_each(call, fields, |_| NO_FIELD);
    }
    write_for_each(call, fields, |hash, field| match hash.hash().get(field) {
        None => NO_FIELD,
        Some(_) if !condition.allows(hash.deadline(field), moment) => UNCHANGED,
        Some(_) => set_moment(hash, field, moment),
    })
}

/// Has a field live until a moment; removes it if that has passed.
pub(super) fn set_moment(hash: &mut HashWriter<'_>, field: &[u8], moment: Moment) -> i64 {
    match moment {
        Moment::Ahead(deadline) => {
            hash.set_deadline(field, Some(deadline));
            CHANGED
        }
        Moment::Past => {
            hash.remove(field);
            REMOVED
        }
    }
}

fn persist(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let is_there = call.keyspace.find(&key).map(hash_of).transpose()?.is_some();
    let fields = fields(call.arguments, 2, "ERR Number of fields must be a positive integer")?;
    if !is_there {
        return write_each(call, fields, |_| NO_FIELD);
    }
    write_for_each(call, fields, |hash, field| match (hash.hash().get(field), hash.deadline(field)) {
        (None, _) => NO_FIELD,
        (Some(_), None) => NO_DEADLINE,
        (Some(_), Some(_)) => {
            hash.set_deadline(field, None);
            CHANGED
        }
    })
}

fn tell(call: &mut Call<'_, '_>, notation: Notation) -> Result<(), Refusal> {
    let (key, now) = (call.key(1), call.now());
    let entry = call.keyspace.read(&key);
    let hash = entry.map(hash_of).transpose()?;
    let fields = fields(call.arguments, 2, "ERR Number of fields must be a positive integer")?;
    call.output.array(fields.len());
    for position in fields {
        let field = call.arguments.at(position);
        let is_there = hash.is_some_and(|hash| hash.get(field).is_some());
        let deadline = entry.and_then(|entry| entry.parts().ok()?.field_deadline(field));
        call.output.integer(match deadline {
            Some(deadline) => notation.show(deadline, now),
            None if is_there => NO_DEADLINE,
            None => NO_FIELD,
        });
    }
    Ok(())
}

/// The places of the fields behind the word FIELDS, which is the argument at `at`, and their number.
///
/// # Errors
/// If they are not there; `not_positive` if their number is not.
pub(super) fn fields(
    arguments: Arguments<'_>,
    at: usize,
    not_positive: &'static str,
) -> Result<Range<usize>, Refusal> {
    if !arguments.get(at).is_some_and(|word| word.eq_ignore_ascii_case(b"fields")) {
        return Err(Refusal::new("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = arguments.get(at + 1).and_then(parse_integer).filter(|&count| count > 0);
    let count = count.ok_or_else(|| Refusal::new(not_positive))?;
    let fields = at + 2..arguments.len();
    if usize::try_from(count) != Ok(fields.len()) {
        return Err(Refusal::new("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

fn write_each(
    call: &mut Call<'_, '_>,
    fields: Range<usize>,
    mut answer: impl FnMut(&[u8]) -> i64,
) -> Result<(), Refusal> {
    call.output.array(fields.len());
    for position in fields {
        let answer = answer(call.arguments.at(position));
        call.output.integer(answer);
    }
    Ok(())
}

/// Replies with what `change` does to each field of a hash that was found.
fn write_for_each(
    call: &mut Call<'_, '_>,
    fields: Range<usize>,
    mut change: impl FnMut(&mut HashWriter<'_>, &[u8]) -> i64,
) -> Result<(), Refusal> {
    let (key, limits, access) = (call.key(1), limits(call), call.keyspace.untraced_access());
    let (arguments, output) = (call.arguments, &mut *call.output);
    call.keyspace.shard(&key).write_hash(&key, limits, &access, |hash| {
        output.array(fields.len());
        for position in fields {
            output.integer(change(hash, arguments.at(position)));
        }
    })?;
    Ok(())
}
