//! The rules of the tree itself: layers, file heads, lengths, and where special things may be done.

mod order;

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up: a file may name only modules of its own line and of the lines above it.  A path ending in
/// `/commands` stands for the commands of a service, which lie above all the cores.
const LAYERS: &[&[&str]] = &[
    &[
        "alarm",
        "allocator",
        "clock",
        "disk",
        "freeing",
        "glob",
        "lock_order",
        "random",
        "refusal",
        "stand_in",
        "sync",
        "version",
        "wait",
    ],
    &["access", "settings", "metrics", "journal", "log_queue"],
    &["delivery"],
    &["store"],
    &["broker", "limit", "lock", "stream", "client", "script"],
    &[
        "limit/persistence/replay",
        "limit/persistence/service",
        "limit/persistence/snapshot",
        "command",
        "service",
        "http/endpoint",
    ],
    &[
        "cache",
        "broker/commands",
        "broker/connections",
        "broker/endpoints",
        "broker/monitoring",
        "broker/service",
        "limit/service",
        "lock/service",
        "stream/service",
        "stream/commands",
        "stream/endpoints",
        "script/commands",
        "script/loading",
        "script/running",
        "script/service",
        "limit/commands",
        "limit/endpoints",
        "lock/commands",
        "lock/endpoints",
        "connection",
        "admin",
    ],
    &["catalog", "session"],
    &[
        "data_directory",
        "lame_duck",
        "load",
        "descriptors",
        "log_subscriber",
        "standard_output",
        "subcommands",
        "policy_file",
        "reload",
        "signals",
        "net",
        "offline",
        "http",
        "server",
        "main",
        "lib",
    ],
];

/// The cores of the services, which name neither one another nor the store nor a client's error replies.
const CORES: &[&str] = &["broker", "client", "limit", "lock", "stream"];

/// The only files with `unsafe` code: all else is safe Rust.
const UNSAFE_FILES: &[&str] = &[
    "src/allocator.rs",
    "src/script/engine/stack.rs",
    "src/store/entries/entry/mod.rs",
    "src/store/entries/entry/view.rs",
    "src/store/entries/expiry.rs",
    "src/store/entries/table.rs",
    "src/store/hash.rs",
    "src/store/shard_lock.rs",
    // One instruction: the processor's ticks.
    "src/clock.rs",
];

/// The only modules that know sockets and `async`, besides the `endpoints` of services.
const ASYNC_MODULES: &[&str] = &[
    "src/http/endpoint/",
    "src/broker/endpoints/",
    "src/cache/endpoints/",
    "src/limit/endpoints/",
    "src/lock/endpoints/",
    "src/stream/endpoints/",
    "src/http/",
    "src/lame_duck.rs",
    "src/net/",
    "src/server.rs",
    "src/signals.rs",
    "src/main.rs",
];

/// The only modules with commands that may see the connection they run for.
const SESSION_MODULES: &[&str] = &["src/command/", "src/connection/", "src/broker/commands/"];

/// Words that only one file may contain, and that file.
const RESERVED: &[(&str, &str)] = &[
    ("clock_gettime(", "src/clock.rs"),
    ("Instant::now", "src/clock.rs"),
    // Every lock has its place in the order.
    ("parking_lot", "src/lock_order.rs"),
    ("sync::Mutex", "src/lock_order.rs"),
    ("sync::RwLock", "src/lock_order.rs"),
];

/// Words that the files of a folder may not contain: bytes and values know no server, sockets no protocol.
const UNKNOWN_TO: &[(&str, &[&str])] = &[
    ("protocol/src/", &["quartet::", "tokio", "async ", "std::net", "std::fs", "std::time", "std::thread"]),
    ("src/net/", &["::resp", "resp::", "Resp", "http::"]),
];

/// Longest file, in lines.
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, as its path from the root and its text.
fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let is_foreign = path.ends_with("node_modules") || path.ends_with("target");
            if path.is_dir() && !is_foreign {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the file can be read");
        (path.strip_prefix(root()).expect("it lies below the root").display().to_string(), text)
    };
    found.into_iter().map(named).collect()
}

fn all_files() -> Vec<(String, String)> {
    ["src", "protocol", "tests", "benches", "examples"].into_iter().flat_map(files).collect()
}

/// The layer of a file or module path such as `cache/commands/strings`.
fn layer_of(path: &str) -> Option<usize> {
    let below = |module: &&&str| path == **module || path.starts_with(&format!("{module}/"));
    let matches = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, modules)| modules.iter().filter(below).map(move |module| (module.len(), layer)));
    matches.max().map(|(_, layer)| layer)
}

/// The modules of this crate that a line of code names, as paths.
fn named_modules(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let is_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
    code.match_indices("crate::")
        .filter(|(at, _)| {
            !code[..*at].ends_with(|character: char| character.is_alphanumeric() || character == '_')
        })
        .map(|(at, found)| {
            let rest = &code[at + found.len()..];
            rest[..rest.find(|character| !is_path(character)).unwrap_or(rest.len())].replace("::", "/")
        })
        .collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in all_files() {
        assert!(text.starts_with("//! "), "{path} must open with `//!` and what it is for");
    }
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in all_files() {
        let lines = text.lines().count();
        assert!(
            lines <= LINES_MAX,
            "{path} has {lines} lines, more than {LINES_MAX}: split it by what it is about"
        );
    }
}

#[test]
fn modules_name_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        let module =
            path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
        let layer = layer_of(&module).unwrap_or_else(|| panic!("{path} has no layer: add it to LAYERS"));
        let service = module.split('/').next().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            for named in named_modules(line) {
                let other = named.split('/').next().unwrap_or_default();
                let crosses =
                    (CORES.contains(&other) && other != service) || ["store", "refusal"].contains(&other);
                let is_core = CORES.contains(&service) && layer_of(&module) == layer_of("lock");
                if layer_of(&named).is_some_and(|named| named > layer) || (crosses && is_core) {
                    wrong.push(format!("{path}:{}: `{module}` may not name `{named}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn special_things_are_done_where_they_belong() {
    for (path, text) in files("src") {
        for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
            let is_unsafe =
                line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl");
            assert!(!is_unsafe || UNSAFE_FILES.contains(&path.as_str()), "{path} may not be unsafe: {line}");
            let is_async = line.contains("async ") || line.contains(".await") || line.contains("tokio::");
            let may =
                path.contains("/endpoints") || ASYNC_MODULES.iter().any(|module| path.starts_with(module));
            assert!(!is_async || may, "{path} may know neither `async` nor sockets: {line}");
            let sees_connection = line.contains("SessionCall");
            let may = SESSION_MODULES.iter().any(|module| path.starts_with(module));
            assert!(!sees_connection || may, "{path}: commands run for any caller here: {line}");
            for (word, only) in RESERVED {
                assert!(!line.contains(word) || path == *only, "{path}: only {only} may say {word}");
            }
        }
    }
}

#[test]
fn bytes_know_no_server_and_sockets_no_protocol() {
    for (path, text) in ["src", "protocol/src"].into_iter().flat_map(files) {
        for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
            let unknown = UNKNOWN_TO.iter().filter(|(folder, _)| path.starts_with(folder));
            for word in unknown.flat_map(|(_, words)| *words) {
                assert!(!line.contains(word), "{path} may not name `{word}`: {line}");
            }
        }
    }
}

#[test]
fn the_rules_find_what_breaks_them() {
    assert_eq!(layer_of("store/table"), layer_of("store"));
    assert!(layer_of("cache/commands/strings") > layer_of("command/call"));
    assert_eq!(layer_of("cached"), None);
    assert_eq!(named_modules("use crate::store::{Key};"), ["store/"]);
    assert_eq!(named_modules("    crate::server::run(x) // crate::net"), ["server/run"]);
    assert!(named_modules("mycrate::net").is_empty());
}
