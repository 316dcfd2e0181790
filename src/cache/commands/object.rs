//! OBJECT: how a value is kept and how it has been used.

use quartet_protocol::resp::number::{integer_text, parse_integer};

use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Key, Keyspace};

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "object",
    summary: "A container for object introspection commands.",
    complexity: "Depends on subcommand.",
    since: "2.2.3",
    group: Group::Generic,
    subcommands: &[
        Command {
            name: "encoding",
            summary: "Returns the internal encoding of an object.",
            handler: Handler::Data(encoding),
            ..ASKS
        },
        Command {
            name: "freq",
            summary: "Returns the logarithmic access frequency counter of an object.",
            since: "4.0.0",
            handler: Handler::Data(freq),
            ..ASKS
        },
        Command {
            name: "help",
            summary: "Returns helpful text about the different subcommands.",
            since: "6.2.0",
            group: Group::Generic,
            flags: Flags::LOADING.union(Flags::STALE),
            handler: Handler::Data(help),
            ..Command::ROW
        },
        Command {
            name: "idletime",
            summary: "Returns the time since the last access to an object.",
            handler: Handler::Data(idletime),
            ..ASKS
        },
        Command {
            name: "refcount",
            summary: "Returns the reference count of a value of a key.",
            handler: Handler::Data(refcount),
            ..ASKS
        },
    ],
    ..Command::ROW
}];

/// The start of the rows that ask about one key.
const ASKS: Command = Command {
    syntax: "key",
    since: "2.2.3",
    group: Group::Generic,
    flags: Flags::READONLY,
    keys: Keys::second(KeyAccess::ReadOnly),
    ..Command::ROW
};

const HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

/// The longest string that Redis keeps in one piece with its header, and the longest number it keeps as one.
const EMBEDDED_LENGTH_MAX: usize = 44;
const INTEGER_LENGTH_MAX: usize = 20;

/// Bytes of the table per key, the room that is kept free and overflow buckets included (measured, see
/// `docs/performance.md`).
const TABLE_SHARE: usize = 13;

/// Bytes of the expiry index per key that has a deadline.
const EXPIRY_SHARE: usize = 16;

fn encoding(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(2);
    match call.keyspace.inspect(&key) {
        Some(entry) => call.output.bulk(encoding_of(entry).as_bytes()),
        None => call.output.null(),
    }
    Ok(())
}

fn freq(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    answer_recency(call, |keyspace, key, bits| {
        let access = keyspace.access;
        let frequency = keyspace.shard(key).frequency(bits, &access);
        frequency
            .map(i64::from)
            .ok_or_else(|| not_kept("An LFU maxmemory policy is not selected, access frequency not tracked."))
    })
}

fn idletime(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    answer_recency(call, |keyspace, _, bits| {
        let idle = keyspace.access.recency.idle_seconds(bits);
        idle.map(|seconds| seconds as i64)
            .ok_or_else(|| not_kept("An LFU maxmemory policy is selected, idle time not tracked."))
    })
}

/// Replies with the number that `tell` reads from a key's bits of recency, or null if there is no key.
fn answer_recency(
    call: &mut Call<'_, '_>,
    tell: impl FnOnce(&mut Keyspace<'_>, &Key<'_>, u32) -> Result<i64, Refusal>,
) -> Result<(), Refusal> {
    let key = call.key(2);
    match call.keyspace.inspect(&key).map(|entry| entry.recency()) {
        Some(bits) => call.output.integer(tell(call.keyspace, &key, bits)?),
        None => call.output.null(),
    }
    Ok(())
}

fn refcount(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let key = call.key(2);
    match call.keyspace.inspect(&key) {
        Some(_) => call.output.integer(1),
        None => call.output.null(),
    }
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.array(HELP.len());
    for line in HELP {
        call.output.simple(line);
    }
    Ok(())
}

fn not_kept(what: &str) -> Refusal {
    Refusal::new(format!(
        "ERR {what} Please note that when switching between policies at runtime LRU and LFU data will take some \
         time to adjust."
    ))
}

/// The name Redis gives to how it would keep this value.
pub fn encoding_of(entry: EntryRef<'_>) -> &'static str {
    if let Ok(parts) = entry.parts() {
        return parts.encoding();
    }
    let value = match entry.string() {
        Ok(value) if !entry.is_modified() => value.bytes(),
        _ => return "raw",
    };
    if value.len() <= INTEGER_LENGTH_MAX
        && let Some(number) = parse_integer(value)
        && *integer_text(number) == *value
    {
        return "int";
    }
    if value.len() <= EMBEDDED_LENGTH_MAX { "embstr" } else { "raw" }
}

/// The bytes a key takes with its share of the table and the expiry index, as MEMORY USAGE replies.
pub fn memory_usage(keyspace: &mut Keyspace<'_>, key: &Key<'_>) -> Option<usize> {
    let entry = keyspace.inspect(key)?;
    let expiry = if entry.deadline().is_some() { EXPIRY_SHARE } else { 0 };
    Some(entry.memory() + TABLE_SHARE + expiry)
}
