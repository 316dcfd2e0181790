//! Strings as a whole: GET, SET and their kin.
//!
//! GET and SET without options are the commands servers are measured by: they take the short way through this file.

use quartet_protocol::resp::{Arguments, Output};

use super::string_options::{Condition, Expires, Expiry, ExpiryOption, Notation, SetOptions};
use crate::command::{Call, Command, Deprecated, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{AccessContext, EntryRef, Key, Lifetime, Value, WrongType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "get",
        syntax: "key",
        summary: "Returns the string value of a key.",
        flags: Flags::READONLY.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(get),
        ..STRING
    },
    Command {
        name: "set",
        syntax: "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | \
                 EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::QUICK),
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate)
            .with_note("RW and ACCESS due to the optional `GET` argument"),
        access_in: Some(access_of_set),
        handler: Handler::Data(set),
        ..STRING
    },
    Command {
        name: "setnx",
        syntax: "key value",
        summary: "Sets the string value of a key only when the key doesn't exist.",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        keys: Keys::first(KeyAccess::OverwriteInsert),
        handler: Handler::Data(setnx),
        ..STRING
    },
    Command {
        name: "setex",
        syntax: "key seconds value",
        summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
        since: "2.0.0",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::QUICK),
        keys: Keys::first(KeyAccess::OverwriteUpdate),
        handler: Handler::Data(setex),
        ..STRING
    },
    Command {
        name: "psetex",
        syntax: "key milliseconds value",
        summary: "Sets both string value and expiration time in milliseconds of a key. The key is created if it \
                  doesn't exist.",
        since: "2.6.0",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::QUICK),
        keys: Keys::first(KeyAccess::OverwriteUpdate),
        handler: Handler::Data(psetex),
        ..STRING
    },
    Command {
        name: "getset",
        deprecated: Some(Deprecated { since: "6.2.0", replaced_by: "`SET` with the `!GET` argument" }),
        syntax: "key value",
        summary: "Returns the previous string value of a key after setting it to a new value.",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
        handler: Handler::Data(getset),
        ..STRING
    },
    Command {
        name: "getex",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        summary: "Returns the string value of a key after setting its expiration time.",
        since: "6.2.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate)
            .with_note("RW and UPDATE because it changes the TTL"),
        handler: Handler::Data(getex),
        ..STRING
    },
    Command {
        name: "getdel",
        syntax: "key",
        summary: "Returns the string value of a key after deleting the key.",
        since: "6.2.0",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(getdel),
        ..STRING
    },
];

/// The start of the rows of all string families.
pub(super) const STRING: Command = Command { group: Group::String, ..Command::ROW };

/// Replies the string an entry holds, or null without one.  Nothing is written if it holds something else.
pub(super) fn reply_value(output: &mut Output, entry: Option<EntryRef<'_>>) -> Result<(), WrongType> {
    match entry.map(EntryRef::string).transpose()? {
        Some(Value::Inline(value)) => output.bulk(value),
        Some(Value::Shared(value)) => output.bulk_shared(value.clone()),
        None => output.null(),
    }
    Ok(())
}

fn get(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    reply_value(call.output, call.keyspace.read(&key))?;
    Ok(())
}

/// SET looks at the old value only if it is asked to.
fn access_of_set(request: Arguments<'_>, _: usize) -> KeyAccess {
    let is_look = |word: &[u8]| word.eq_ignore_ascii_case(b"get") || word.eq_ignore_ascii_case(b"ifeq");
    let looks = request.from(3).iter().any(is_look);
    if looks { KeyAccess::ReadWriteAccessUpdate } else { KeyAccess::OverwriteUpdate }
}

fn set(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() > 3 {
        return set_with_options(call);
    }
    let key = call.key(1);
    let access = call.keyspace.access;
    call.write_string(&key, 2, Lifetime::Forever, &access)?;
    call.output.ok();
    Ok(())
}

fn set_with_options(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let options = SetOptions::parse(call.arguments.from(3))?;
    let expires = resolve(call, options.expiry)?;
    let old = if options.returns_old {
        let old = call.keyspace.read(&key);
        reply_value(call.output, old)?;
        old
    } else {
        call.keyspace.find(&key)
    };
    let writes = match options.condition {
        Condition::Always => true,
        Condition::Missing => old.is_none(),
        Condition::Present => old.is_some(),
        Condition::Equals(expected) => {
            let old = old.map(EntryRef::string).transpose()?;
            old.is_some_and(|value| value.bytes() == expected)
        }
    };
    match (options.returns_old, writes) {
        (true, _) => {}
        (false, true) => call.output.ok(),
        (false, false) => call.output.null(),
    }
    if writes {
        let access = call.keyspace.untraced_access();
        write(call, access, &key, 2, options.expiry, expires)?;
    }
    Ok(())
}

/// The time that an expiry option names, as of now.
pub(super) fn resolve(call: &Call<'_, '_>, expiry: ExpiryOption<'_>) -> Result<Option<Expires>, Refusal> {
    match expiry {
        ExpiryOption::Set(expiry) => expiry.resolve(call.row.command.name, call.now()).map(Some),
        _ => Ok(None),
    }
}

/// Writes the argument at a position as a value with the lifetime of the option.  If that time has passed, the key is
/// deleted instead.
fn write(
    call: &mut Call<'_, '_>,
    access: AccessContext,
    key: &Key<'_>,
    position: usize,
    expiry: ExpiryOption<'_>,
    expires: Option<Expires>,
) -> Result<(), Refusal> {
    let lifetime = match (expires, expiry) {
        (Some(Expires::Already), _) => {
            call.keyspace.remove(key);
            return Ok(());
        }
        (Some(Expires::At(deadline)), _) => Lifetime::Until(deadline),
        (None, ExpiryOption::Keep) => Lifetime::Keep,
        (None, _) => Lifetime::Forever,
    };
    call.write_string(key, position, lifetime, &access)
}

fn setnx(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let is_missing = !call.keyspace.contains(&key);
    if is_missing {
        let access = call.keyspace.access;
        call.write_string(&key, 2, Lifetime::Forever, &access)?;
    }
    call.output.integer(i64::from(is_missing));
    Ok(())
}

fn setex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_for(call, Notation::Seconds)
}

fn psetex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    set_for(call, Notation::Milliseconds)
}

fn set_for(call: &mut Call<'_, '_>, notation: Notation) -> Result<(), Refusal> {
    let key = call.key(1);
    let expiry = ExpiryOption::Set(Expiry { notation, amount: call.arguments.at(2) });
    let expires = resolve(call, expiry)?;
    write(call, call.keyspace.access, &key, 3, expiry, expires)?;
    call.output.ok();
    Ok(())
}

fn getset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    reply_value(call.output, call.keyspace.read(&key))?;
    let access = call.keyspace.untraced_access();
    call.write_string(&key, 2, Lifetime::Forever, &access)
}

fn getex(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    let expiry = parse_getex(call)?;
    let entry = call.keyspace.read(&key);
    let exists = entry.is_some();
    reply_value(call.output, entry)?;
    if !exists {
        return Ok(());
    }
    match (resolve(call, expiry)?, expiry) {
        (Some(Expires::Already), _) => call.keyspace.remove(&key),
        (Some(Expires::At(deadline)), _) => call.keyspace.set_deadline(&key, Some(deadline)),
        (None, ExpiryOption::Persist) => call.keyspace.set_deadline(&key, None),
        (None, _) => false,
    };
    Ok(())
}

fn parse_getex<'c>(call: &Call<'c, '_>) -> Result<ExpiryOption<'c>, Refusal> {
    let mut expiry = ExpiryOption::Unsaid;
    let mut words = call.arguments.from(2).iter();
    while let Some(word) = words.next() {
        if !expiry.accept(word, &mut words)? || expiry == ExpiryOption::Keep {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok(expiry)
}

fn getdel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(1);
    reply_value(call.output, call.keyspace.read(&key))?;
    call.keyspace.remove(&key);
    Ok(())
}
