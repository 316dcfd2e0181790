//! The documents as a newcomer uses them: every block of commands is run against a fresh server, and what it shows is
//! compared with what came.
//!
//! A block says by its word what it is:
//!
//! * `console`: lines that begin with `$ ` are commands, and the lines below each are all that it prints.  `…` stands for
//!   any text within a line, and a line of it alone for any lines.
//! * `console listen`: the same with one command, which goes on while the blocks below are run in another terminal.
//! * `sh`: commands that succeed; what they print is not shown.
//! * `python`, and `js` with an `import`: a program that succeeds.
//! * `go` and `rust`: a function that stands in a program of `tests/interop`, which calls it.
//!
//! All blocks of a document are one session, in a folder of its own.  Ports are those that the documents name: the session
//! has a network of its own, which takes `unshare` and the right to use it.  In the README the session starts with no
//! server, and `cargo run` starts one.  Tools print as they do on a terminal.

mod blocks;
mod extending;
mod session;

use std::fs;
use std::path::Path;

use blocks::{Block, Kind, blocks};
use session::play;

/// The page whose blocks are benchmarks: they need other servers and take minutes.
const MEASUREMENTS: &str = "docs/performance.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of a document, each with its document and line.
fn blocks_of(name: &str) -> Vec<Block> {
    let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    blocks(name, &text)
}

/// All documents that users read, as paths from the root.
fn documents() -> Vec<String> {
    let files = fs::read_dir(root().join("docs")).expect("the folder is there");
    let names =
        files.map(|file| file.expect("the folder can be read").file_name().into_string().expect("a name"));
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    let mut documents: Vec<String> = pages.collect();
    documents.push("README.md".to_owned());
    documents.retain(|document| document != MEASUREMENTS);
    documents.sort();
    documents
}

#[test]
fn the_readme_works_as_it_stands() {
    play(&blocks_of("README.md"), false);
}

#[test]
fn the_pages_work_as_they_stand() {
    // One starts with no server, the other needs one that has its examples.
    let others = ["README.md", extending::PAGE];
    for document in documents().iter().filter(|document| !others.contains(&document.as_str())) {
        let blocks = blocks_of(document);
        if blocks.iter().any(|block| !matches!(block.kind, Kind::Function | Kind::Other)) {
            play(&blocks, true);
        }
    }
}

#[test]
fn no_commands_stand_in_other_blocks() {
    for document in documents() {
        for block in blocks_of(&document).iter().filter(|block| block.kind == Kind::Other) {
            let is_command = |line: &&str| line.starts_with("$ ") || line.starts_with("127.0.0.1:6379> ");
            let found = block.text.lines().find(is_command);
            assert_eq!(
                found, None,
                "{}: commands need the word `console`, so that they are run",
                block.place
            );
        }
    }
}

/// Programs of the suite that have the functions of the documents.
const PROGRAMS: &[&str] = &["tests/interop/go/nats_client.go", "tests/interop/redis_rs.rs"];

#[test]
fn functions_of_the_documents_are_those_of_programs_that_run() {
    let programs: Vec<String> = PROGRAMS
        .iter()
        .map(|name| {
            fs::read_to_string(root().join(name)).expect("the program is there").replace('\t', "    ")
        })
        .collect();
    for document in documents() {
        for block in blocks_of(&document).iter().filter(|block| block.kind == Kind::Function) {
            let runs = programs.iter().any(|program| program.contains(&format!("\n{}", block.text)));
            assert!(runs, "{}: no program has this function: {PROGRAMS:?}", block.place);
        }
    }
}

#[test]
fn links_within_the_documents_lead_somewhere() {
    let others = ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned);
    for document in documents().into_iter().chain(others) {
        let path = root().join(&document);
        let text = fs::read_to_string(&path).expect("the document can be read");
        for (at, _) in text.match_indices("](") {
            let rest = &text[at + 2..];
            let target = &rest[..rest.find(')').unwrap_or(0)];
            let (file, _) = target.split_once('#').unwrap_or((target, ""));
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let folder = path.parent().expect("it lies in a folder");
            assert!(folder.join(file).exists(), "{document}: {target} is missing");
        }
    }
}

#[test]
fn places_that_the_guides_name_exist() {
    for document in ["docs/extending.md", "docs/operations.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document can be read");
        for place in text.split('`').skip(1).step_by(2) {
            let is_place =
                ["src/", "tests/", "docs/", "deploy/"].iter().any(|folder| place.starts_with(folder));
            let is_whole = !place.contains([' ', '*', '…']);
            assert!(!is_place || !is_whole || root().join(place).exists(), "{document}: {place} is missing");
        }
    }
}
