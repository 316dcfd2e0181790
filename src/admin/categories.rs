//! ACL categories, derived from a row's flags and group as Redis derives them.

use crate::command::{Flags, Row};

/// Whether a row is in a category.
pub type Rule = fn(&Row) -> bool;

/// All categories of Redis in its order, with the rule that puts a row into them.  Some are of types and features that no
/// command here has.
pub const CATEGORIES: &[(&str, Rule)] = &[
    ("keyspace", is_keyspace),
    ("read", |row| row.command.flags.contains(Flags::READONLY) && !is_scripting(row)),
    ("write", |row| row.command.flags.contains(Flags::WRITE)),
    ("set", |row| is_of_group(row, "set") || sorts(row)),
    ("sortedset", |row| is_of_group(row, "sortedset") || sorts(row)),
    ("list", |row| is_of_group(row, "list") || sorts(row)),
    ("hash", |row| is_of_group(row, "hash")),
    ("string", |row| is_of_group(row, "string")),
    ("bitmap", |_| false),
    ("hyperloglog", |_| false),
    ("geo", |_| false),
    ("stream", |row| is_of_group(row, "stream")),
    ("pubsub", |row| row.command.flags.contains(Flags::PUBSUB)),
    ("admin", |row| {
        row.command.flags.contains(Flags::ADMIN) || ADMIN_WITHOUT_FLAG.contains(&row.command.name)
    }),
    ("fast", |row| row.command.flags.contains(Flags::FAST)),
    ("slow", |row| !row.command.flags.contains(Flags::FAST)),
    ("blocking", |row| row.command.flags.contains(Flags::BLOCKING)),
    ("dangerous", |row| row.command.flags.intersects(Flags::ADMIN.union(Flags::DANGEROUS))),
    ("connection", is_connection),
    ("transaction", |row| is_of_group(row, "transaction")),
    ("scripting", |row| is_scripting(row) && row.command.subcommands.is_empty()),
];

/// Commands of the server group that work on keys.
const KEYSPACE_OF_SERVER: &[&str] = &["dbsize", "flushall", "flushdb", "swapdb"];

/// Commands that Redis counts among the connection's although they are in other groups.
const CONNECTION_ELSEWHERE: &[&str] = &["command", "wait", "waitaof", "readonly", "readwrite", "asking"];

/// Commands for operators that Redis does not flag so.
const ADMIN_WITHOUT_FLAG: &[&str] = &["role", "lastsave"];

/// Generic commands that Redis counts among those of the types they sort.
const SORTS: &[&str] = &["sort", "sort_ro"];

/// The names of a row's categories.
pub fn categories(row: &Row) -> impl Iterator<Item = &'static str> {
    CATEGORIES.iter().filter(|(_, holds)| holds(row)).map(|(name, _)| *name)
}

/// The rule of a category.
pub fn find(name: &[u8]) -> Option<Rule> {
    CATEGORIES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, rule)| *rule)
}

fn is_of_group(row: &Row, category: &str) -> bool {
    row.command.group.facts().category == category
}

fn is_scripting(row: &Row) -> bool {
    is_of_group(row, "scripting")
}

fn sorts(row: &Row) -> bool {
    SORTS.contains(&row.command.name)
}

fn is_keyspace(row: &Row) -> bool {
    let name = row.command.name;
    let generic = is_of_group(row, "keyspace") && !CONNECTION_ELSEWHERE.contains(&name) && !sorts(row);
    (generic && row.command.subcommands.is_empty()) || KEYSPACE_OF_SERVER.contains(&name)
}

fn is_connection(row: &Row) -> bool {
    let family = row.name.split('|').next().unwrap_or_default();
    let own = is_of_group(row, "connection") && row.command.subcommands.is_empty();
    own || CONNECTION_ELSEWHERE.contains(&family)
}
