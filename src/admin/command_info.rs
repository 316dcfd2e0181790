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
    let movable = row.command.find_keys.map(|_| "movablekeys");
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

/// A command with a source and a destination has a specification for each.
fn write_key_specification(output: &mut Output, keys: Keys) {
    if keys.first == 0 {
        return output.set(0);
    }
    if keys.source.is_some() {
        output.set(2);
        for position in [keys.first, keys.first + 1] {
            write_one_specification(output, keys, position, 0);
        }
        return;
    }
    let last =
        if keys.last < 0 { i64::from(keys.last) } else { i64::from(keys.last) - i64::from(keys.first) };
    output.set(1);
    write_one_specification(output, keys, keys.first, last);
}

fn write_one_specification(output: &mut Output, keys: Keys, first: u8, last: i64) {
    output.map(if keys.note.is_empty() { 3 } else { 4 });
    if !keys.note.is_empty() {
        output.bulk(b"notes");
        output.bulk(keys.note.as_bytes());
    }
    output.bulk(b"flags");
    write_words(output, access_words(keys.access_at(usize::from(first))).to_vec());
    output.bulk(b"begin_search");
    write_step(output, "index", &[("index", i64::from(first))]);
    output.bulk(b"find_keys");
    write_step(output, "range", &[("lastkey", last), ("keystep", i64::from(keys.step)), ("limit", 0)]);
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
