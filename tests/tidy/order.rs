//! Within a service, each file names only files below it: so there is no circle, and a reader can begin at the bottom.

use super::files;

/// The files of each service that keeps such an order, from the bottom up.  A folder stands for its `mod.rs`.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "lock",
        &[
            // Values.
            "limits",
            "counts",
            "durability",
            "mode",
            "identifiers",
            "refused",
            "grant",
            "deadlock",
            "outcome",
            "notice",
            "report",
            "operation",
            // The model, and the records of its changes.
            "model/fences",
            "model/slots",
            "model/interner",
            "model/queue",
            "model/load",
            "model/idempotency",
            "records",
            "model/events",
            "model/lease",
            "model/waiter",
            "model/session",
            "model/resource",
            "model",
            "model/memory",
            "model/requests",
            "model/grants",
            "model/leases",
            "model/waiters",
            "model/sessions",
            "model/reports",
            // The scheduler.
            "scheduler/deadlocks",
            "scheduler",
            "scheduler/retries",
            "scheduler/waits",
            "scheduler/acquire",
            "scheduler/modes",
            "scheduler/renew",
            "scheduler/release",
            "scheduler/sessions",
            "scheduler/withdrawal",
            "scheduler/reports",
            // What outlives the server, and what threads share.
            "persistence/snapshot",
            "persistence/replay",
            "persistence",
            "shared",
            "persistence/service",
            "execution",
        ],
    ),
    (
        "store",
        &[
            "value",
            "random_steps",
            "hash",
            "chunks",
            "growth",
            "dirty",
            "interests",
            "shard_id",
            "shard_lock",
            // Values with parts.
            "object/item",
            "object/packed",
            "object/room",
            "object/page",
            "object/members",
            "object/row/page",
            "object/row",
            "object/fields",
            "object/packed_pairs",
            "object/pairs",
            "object/list/side",
            "object/list/element",
            "object/list/block",
            "object/list/limits",
            "object/list/chain",
            "object/list",
            "object/set/integers",
            "object/set/table",
            "object/set",
            "object/sorted_set/bound",
            "object/sorted_set/leaf",
            "object/sorted_set/tree",
            "object/sorted_set",
            "object/deadlines",
            "object/expiring_hash",
            "object/hash",
            "object",
            // Entries, and what is known of their use.
            "entries/entry/layout",
            "entries/entry/view",
            "entries/entry",
            "entries/entry/packed",
            "entries/expiry",
            "entries/table",
            "entries",
            "entries/model_tests",
            "lifetime",
            "recency/lfu",
            "recency/lru",
            "recency/turnover",
            "recency/adaptive",
            "recency/trace",
            "recency/bits",
            "recency/access",
            "recency/shadow",
            "recency/duel",
            "recency/newcomers",
            "recency/contest",
            "recency/usage",
            "recency",
            // Shards, databases, and the search for keys to evict.
            "released",
            "shard",
            "due",
            "strings",
            "objects/hash",
            "objects/list",
            "objects/set",
            "objects/hash_tests",
            "objects/hash_deadline_tests",
            "objects/set_tests",
            "objects/sorted_set",
            "objects/sorted_set_tests",
            "objects",
            "objects/list_tests",
            "pinned",
            "shard_model",
            "long_holds",
            "gate",
            "shard_cell",
            "looks",
            "databases",
            "undo",
            "keyspace",
            "keyspace/looking",
            "eviction/method",
            "eviction/random",
            "eviction/ttl",
            "eviction/victim_search",
            "eviction",
        ],
    ),
];

/// The code of a file without comments and tests.
fn code(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths that a file names within its service: `model/lease/Lease`.  `module` is the file's own path there.
fn named_paths(service: &str, module: &str, code: &str) -> Vec<String> {
    let whole = format!("crate::{service}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("super::").chain(code.match_indices(&whole)) {
        if code[..at].ends_with("super::")
            || code[..at].ends_with(|character: char| character.is_alphanumeric())
        {
            continue;
        }
        let mut rest = &code[at..];
        let mut base: Vec<&str> = Vec::new();
        match rest.strip_prefix(whole.as_str()) {
            Some(after) => rest = after,
            None => {
                base = module.split('/').collect();
                while let Some(after) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = after;
                }
            }
        }
        let list = rest.strip_prefix('{').and_then(|list| list.split_once("};")).map(|(list, _)| list);
        let names = list.map_or(vec![rest], |list| list.split(',').collect());
        for name in names {
            let is_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
            let name = name.trim();
            let name = &name[..name.find(|character| !is_path(character)).unwrap_or(name.len())];
            if !name.is_empty() {
                found.push(base.iter().copied().chain(name.split("::")).collect::<Vec<_>>().join("/"));
            }
        }
    }
    found
}

/// The place in the order of the file that a path lies in.
fn place_of(order: &[&str], path: &str) -> Option<usize> {
    let is_prefix = |file: &&str| path == *file || path.starts_with(&format!("{file}/"));
    let files = order.iter().enumerate().filter(|(_, file)| is_prefix(file));
    files.max_by_key(|(_, file)| file.len()).map(|(place, _)| place)
}

#[test]
fn files_of_a_service_name_only_files_below_them() {
    let mut wrong = Vec::new();
    for (service, order) in ORDERS {
        for (path, text) in files(&format!("src/{service}")) {
            let module = path.trim_start_matches(&format!("src/{service}/")).trim_end_matches(".rs");
            let module = module.trim_end_matches("/mod");
            // The service's own face, its row and its doors stand above all of these.
            if ["mod", "service"].contains(&module)
                || module.starts_with("commands")
                || module.starts_with("endpoints")
            {
                continue;
            }
            let own = order.iter().position(|file| *file == module);
            let own = own.unwrap_or_else(|| panic!("{path} has no place: add it to ORDERS"));
            // A `mod.rs` speaks from within its folder.
            let within = if path.ends_with("/mod.rs") { format!("{module}/mod") } else { module.to_owned() };
            for named in named_paths(service, &within, &code(&text)) {
                match place_of(order, &named) {
                    Some(place) if place <= own => {}
                    _ => wrong.push(format!("{path} may not name `{named}`")),
                }
            }
        }
        for file in *order {
            let is_there = |path: String| super::root().join(path).exists();
            assert!(
                is_there(format!("src/{service}/{file}.rs"))
                    || is_there(format!("src/{service}/{file}/mod.rs")),
                "{file} of {service} is gone: take it out of ORDERS"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_within_a_service_are_found() {
    let code = "use super::lease::{Lease, stored};\nuse super::{Due, events::Events};\nuse crate::lock::records::Record;\nuse crate::lock_order::rank;";
    let named = named_paths("lock", "model/leases", code);
    assert_eq!(named, ["model/lease/", "model/Due", "model/events/Events", "records/Record"]);
    let order = ["records", "model/lease", "model"];
    assert_eq!(place_of(&order, "model/Due"), Some(2));
    assert_eq!(place_of(&order, "model/lease/Lease"), Some(1));
    assert_eq!(place_of(&order, "models"), None);
}
