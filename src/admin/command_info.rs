//! The reply of COMMAND and COMMAND INFO about one command.

use quartet_protocol::resp::Output;

use super::categories::categories;
use crate::command::{CommandTable, Flags, KeyAccess, Keys, Row};

/// The flags that clients are told, in Redis' words and order.
const FLAG_WORDS: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READONLY, "readonly"),
    (Flags::DENYOOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::PUBSUB, "pubsub"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_slowlog"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::ALLOW_BUSY, "allow_busy"),
    (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
];

/// The words of a row's flags.
pub(super) fn flag_words(flags: Flags) -> impl Iterator<Item = &'static str> + Clone {
    FLAG_WORDS.iter().filter(move |(flag, _)| flags.contains(*flag)).map(|(_, word)| *word)
}

/// How a command uses a key, in the words of Redis' key specifications.
pub(super) fn access_words(access: KeyAccess) -> &'static [&'static str] {
    match access {
        KeyAccess::ReadAccess => &["RO", "access"],
        KeyAccess::ReadOnly => &["RO"],
        KeyAccess::OverwriteUpdate => &["OW", "update"],
        KeyAccess::OverwriteInsert => &["OW", "insert"],
        KeyAccess::ReadWriteUpdate => &["RW", "update"],
        KeyAccess::ReadWriteAccessUpdate => &["RW", "access", "update"],
        KeyAccess::ReadWriteInsert => &["RW", "insert"],
        KeyAccess::RemoveDelete => &["RM", "delete"],
        KeyAccess::ReadWriteDelete => &["RW", "delete"],
        KeyAccess::ReadWriteAccessDelete => &["RW", "access", "delete"],
    }
}

/// Writes the ten items about a command.
pub(super) fn write_info(output: &mut Output, table: &CommandTable, row: &Row) {
    let keys = row.command.keys;
    output.array(10);
    output.bulk(row.name.as_bytes());
    output.integer(i64::from(row.arity));
    let is_movable = row.command.find_keys.is_some() || keys.count > 0;
    let movable = is_movable.then_some("movablekeys");
    write_words(output, flag_words(row.command.flags).chain(movable).collect());
    output.integer(i64::from(keys.first));
    output.integer(i64::from(keys.last));
    output.integer(i64::from(keys.step));
    write_words(output, categories(row).map(|name| format!("@{name}")).collect());
    // Hints for proxies of clusters, which this server is no part of.
    output.set(0);
    write_key_specification(output, keys);
    let subcommands = table.subcommands(row);
    if subcommands.is_empty() {
        return output.set(0);
    }
    output.array(subcommands.len());
    for subcommand in subcommands {
        write_info(output, table, subcommand);
    }
}

fn write_words(output: &mut Output, words: Vec<impl AsRef<str>>) {
    output.set(words.len());
    for word in &words {
        output.simple(word.as_ref());
    }
}

/// A command with a source and a destination has a specification for each, and so has one with counted keys besides others.
fn write_key_specification(output: &mut Output, keys: Keys) {
    let one = |output: &mut Output, position| {
        let access = keys.access_at(usize::from(position));
        write_one_specification(output, keys, access, position, Found::Range { last: 0, step: keys.step });
    };
    let counted = |output: &mut Output| {
        write_one_specification(output, keys, keys.access, keys.count, Found::Counted);
    };
    match (keys.first, keys.count, keys.source) {
        (0, 0, _) => output.set(0),
        (0, _, _) => {
            output.set(1);
            counted(output);
        }
        (first, 0, Some(_)) => {
            output.set(2);
            one(output, first);
            one(output, first + 1);
        }
        (first, 0, None) => {
            let last = i64::from(keys.last);
            let last = if last < 0 { last } else { last - i64::from(first) };
            output.set(1);
            let range = Found::Range { last, step: keys.step };
            write_one_specification(output, keys, keys.access, first, range);
        }
        (first, _, _) => {
            output.set(2);
            one(output, first);
            counted(output);
        }
    }
}

/// How keys are found from where the search for them begins.
enum Found {
    /// The last one is so far away, or so far from the end.
    Range { last: i64, step: u8 },
    /// Their number is there, and they follow it.
    Counted,
}

fn write_one_specification(output: &mut Output, keys: Keys, access: KeyAccess, first: u8, found: Found) {
    output.map(if keys.note.is_empty() { 3 } else { 4 });
    if !keys.note.is_empty() {
        output.bulk(b"notes");
        output.bulk(keys.note.as_bytes());
    }
    output.bulk(b"flags");
    write_words(output, access_words(access).to_vec());
    output.bulk(b"begin_search");
    write_step(output, "index", &[("index", i64::from(first))]);
    output.bulk(b"find_keys");
    match found {
        Found::Range { last, step } => {
            write_step(output, "range", &[("lastkey", last), ("keystep", i64::from(step)), ("limit", 0)]);
        }
        Found::Counted => {
            write_step(output, "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
        }
    }
}

fn write_step(output: &mut Output, kind: &str, numbers: &[(&str, i64)]) {
    output.map(2);
    output.bulk(b"type");
    output.bulk(kind.as_bytes());
    output.bulk(b"spec");
    output.map(numbers.len());
    for (name, number) in numbers {
        output.bulk(name.as_bytes());
        output.integer(*number);
    }
}
