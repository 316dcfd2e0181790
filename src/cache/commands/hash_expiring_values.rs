//! Values of a hash that are read or written together with their deadlines: HGETEX and HSETEX.

use std::ops::Range;

use quartet_protocol::resp::number::parse_integer;

use super::hash_deadlines::{
    MILLISECONDS, Moment, Notation, SECONDS, UNIX_MILLISECONDS, UNIX_SECONDS, set_moment,
};
use super::hashes::{HASH, hash_of, limits, require_room, write_hash, write_value};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::HashWriter;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hgetex",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] \
                 FIELDS numfields field [field ...]",
        summary: "Get the value of one or more fields of a given hash key, and optionally set their expiration.",
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
        flags: Flags::WRITE.union(Flags::FAST),
        handler: Handler::Data(hgetex),
        ..EXPIRING
    },
    Command {
        name: "hsetex",
        syntax: "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds \
                 | KEEPTTL] FIELDS numfields field value [field value ...]",
        summary: "Set the value of one or more fields of a given hash key, and optionally set their expiration.",
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        handler: Handler::Data(hsetex),
        ..EXPIRING
    },
];

/// The start of both rows.
const EXPIRING: Command =
    Command { complexity: "O(N) where N is the number of specified fields", since: "8.0.0", ..HASH };

/// What becomes of the deadline of each field.
#[derive(Clone, Copy)]
enum Lifetime {
    /// It is as HGET and HSET leave it.
    Ordinary,
    /// It is kept.
    Keep,
    /// It is removed.
    Persist,
    /// It is this.
    Until(Moment),
}

/// Which fields must be there for HSETEX to write any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    NoneThere,
    AllThere,
}

/// The words before and behind FIELDS.
struct Options {
    lifetime: Lifetime,
    condition: Condition,
    /// The places of the fields, with their values for HSETEX.
    fields: Range<usize>,
}

/// The words that one of the commands has of its own.
struct Words {
    /// Arguments for each field.
    step: usize,
    /// What leaves deadlines as they are, or takes them away.
    alone: (&'static [u8], Lifetime),
    has_conditions: bool,
    exclusive: &'static str,
}

const OF_HGETEX: Words = Words {
    step: 1,
    alone: (b"persist", Lifetime::Persist),
    has_conditions: false,
    exclusive: "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified",
};

const OF_HSETEX: Words = Words {
    step: 2,
    alone: (b"keepttl", Lifetime::Keep),
    has_conditions: true,
    exclusive: "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
};

impl Options {
    fn parse(call: &Call<'_, '_>, words: &Words) -> Result<Options, Refusal> {
        let (arguments, name) = (call.arguments, call.row.command.name);
        let (mut lifetime, mut condition) = (None, Condition::Always);
        let mut at = 2;
        while let Some(word) = arguments.get(at) {
            let word = word.to_ascii_lowercase();
            if word == b"fields" {
                let fields = Options::fields(call, at, words.step)?;
                return Ok(Options { lifetime: lifetime.unwrap_or(Lifetime::Ordinary), condition, fields });
            }
            let named = match word.as_slice() {
                b"ex" => Some(SECONDS),
                b"px" => Some(MILLISECONDS),
                b"exat" => Some(UNIX_SECONDS),
                b"pxat" => Some(UNIX_MILLISECONDS),
                _ => None,
            };
            let new_condition = match word.as_slice() {
                b"fnx" if words.has_conditions => Some(Condition::NoneThere),
                b"fxx" if words.has_conditions => Some(Condition::AllThere),
                _ => None,
            };
            if let Some(new) = new_condition {
                if condition != Condition::Always {
                    return Err(Refusal::new("ERR Only one of FXX or FNX arguments can be specified"));
                }
                condition = new;
            } else if named.is_some() || word == words.alone.0 {
                if lifetime.is_some() {
                    return Err(Refusal::new(words.exclusive));
                }
                lifetime = Some(match named {
                    Some(notation) => {
                        at += 1;
                        Lifetime::Until(Options::moment(call, at, notation)?)
                    }
                    None => words.alone.1,
                });
            } else {
                let shown = String::from_utf8_lossy(arguments.at(at)).into_owned();
                return Err(Refusal::new(format!("ERR unknown argument: {shown}")));
            }
            at += 1;
        }
        debug_assert!(at >= arguments.len(), "{name} has no FIELDS");
        Err(Refusal::new("ERR missing FIELDS argument"))
    }

    fn moment(call: &Call<'_, '_>, at: usize, notation: Notation) -> Result<Moment, Refusal> {
        let number = call.arguments.get(at).ok_or_else(|| Refusal::wrong_arity(&call.row.name))?;
        notation.moment(number, call.row.command.name, call.now())
    }

    fn fields(call: &Call<'_, '_>, at: usize, step: usize) -> Result<Range<usize>, Refusal> {
        let count = call.arguments.get(at + 1).ok_or_else(|| Refusal::wrong_arity(&call.row.name))?;
        let count =
            parse_integer(count).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
        let count = count.ok_or_else(|| Refusal::new("ERR invalid number of fields"))?;
        let fields = at + 2..call.arguments.len();
        if count.checked_mul(step) != Some(fields.len()) {
            return Err(Refusal::wrong_arity(&call.row.name));
        }
        Ok(fields)
    }
}

fn hgetex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let is_there = call.keyspace.find(&key).map(hash_of).transpose()?.is_some();
    let Options { lifetime, fields, .. } = Options::parse(call, &OF_HGETEX)?;
    let (limits, access) = (limits(call), call.keyspace.untraced_access());
    let (arguments, output) = (call.arguments, &mut *call.output);
    output.array(fields.len());
    if !is_there {
        fields.for_each(|_| output.null());
        return Ok(());
    }
    call.keyspace.shard(&key).write_hash(&key, limits, &access, |hash| {
        for position in fields {
            let field = arguments.at(position);
            let value = hash.hash().get(field);
            let is_there = value.is_some();
            write_value(output, value);
            match lifetime {
                Lifetime::Until(moment) if is_there => {
                    set_moment(hash, field, moment);
                }
                Lifetime::Persist if is_there => {
                    hash.set_deadline(field, None);
                }
                _ => {}
            }
        }
    })?;
    Ok(())
}

fn hsetex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    call.keyspace.find(&key).map(hash_of).transpose()?;
    let Options { lifetime, condition, fields } = Options::parse(call, &OF_HSETEX)?;
    let arguments = call.arguments;
    for position in fields.clone() {
        call.require_value_size(arguments.at(position).len())?;
    }
    let is_set = write_hash(call, &key, |hash| {
        let is_there = |position: usize| hash.hash().get(arguments.at(position)).is_some();
        let is_allowed = match condition {
            Condition::Always => true,
            Condition::NoneThere => !fields.clone().step_by(2).any(is_there),
            Condition::AllThere => fields.clone().step_by(2).all(is_there),
        };
        if !is_allowed {
            return Ok(false);
        }
        require_room(hash, fields.len() / 2)?;
        for position in fields.step_by(2) {
            set(hash, arguments.at(position), arguments.at(position + 1), lifetime);
        }
        Ok(true)
    })?;
    call.output.integer(i64::from(is_set));
    Ok(())
}

fn set(hash: &mut HashWriter<'_>, field: &[u8], value: &[u8], lifetime: Lifetime) {
    match lifetime {
        Lifetime::Ordinary | Lifetime::Persist => {
            hash.set(field, value);
        }
        Lifetime::Keep => {
            hash.set_value(field, value);
        }
        Lifetime::Until(moment) => {
            hash.set_value(field, value);
            set_moment(hash, field, moment);
        }
    }
}
