//! The worked examples of docs/extending.md: patches that apply to these sources, and blocks that work once they are applied.
//!
//! Building a copy takes as long as building the server does, so that is done with `QUARTET_EXAMPLES=1` only.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::session::play_with;
use super::{blocks_of, root};
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// The page.
pub(super) const PAGE: &str = "docs/extending.md";

/// What the server is built from.  The manifest names targets in the folders behind it, which no example changes.
const SOURCES: &[&str] = &["Cargo.toml", "Cargo.lock", "build.rs", "commit.txt", "src", "protocol"];
const OTHERS: &[&str] = &["tests", "benches", "examples"];

/// The name of the server with all examples.
const PROGRAM: &str = "quartet-extended";

/// The patches, in the order of their names.
fn patches() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs/extending")).expect("the folder is there");
    let mut patches: Vec<PathBuf> = files.map(|file| file.expect("the folder can be read").path()).collect();
    patches.sort();
    patches
}

fn apply(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).arg("apply").args(arguments).args(patches());
    run(git).success();
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).expect("the file can be copied");
        return;
    }
    fs::create_dir(to).expect("the folder was just made");
    for file in fs::read_dir(from).expect("the folder can be read") {
        let file = file.expect("the folder can be read");
        copy(&file.path(), &to.join(file.file_name()));
    }
}

#[test]
fn the_examples_apply_to_these_sources() {
    if peers::peer("git").is_none() {
        return;
    }
    apply(root(), &["--check"]);
    let page = fs::read_to_string(root().join(PAGE)).expect("the page is there");
    for patch in patches() {
        let name = patch.file_name().and_then(|name| name.to_str()).expect("names are text");
        assert!(page.contains(&format!("](extending/{name})")), "{PAGE} does not name {name}");
    }
}

#[test]
fn the_examples_work_once_they_are_applied() {
    if env::var_os("QUARTET_EXAMPLES").is_none() || peers::peer("git").is_none() {
        return;
    }
    let folder = Folder::new();
    for name in SOURCES {
        copy(&root().join(name), &folder.path().join(name));
    }
    for name in OTHERS {
        symlink(root().join(name), folder.path().join(name)).expect("the folder was just made");
    }
    apply(folder.path(), &[]);
    let program = build(folder.path());
    play_with(&program, &blocks_of(PAGE), true);
}

/// Builds the copy with the dependencies that are built already, under a name that no other test starts.
fn build(folder: &Path) -> PathBuf {
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("it was just copied");
    let text = text.replace("default-run = \"quartet\"", "autobins = false");
    let program = format!("[[bin]]\nname = \"{PROGRAM}\"\npath = \"src/main.rs\"\n");
    fs::write(&manifest, format!("{text}\n{program}")).expect("it was just copied");
    let built = Path::new(env!("CARGO_BIN_EXE_quartet"));
    let target = built.ancestors().nth(2).expect("it lies in a folder of the target directory");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.env("CARGO_TARGET_DIR", target);
    // With an example, so that dependencies have the features that tests want of them: those are built.
    cargo.args(["build", "--quiet", "--locked", "--bin", PROGRAM, "--example", "plain_socket"]);
    cargo.arg("--manifest-path").arg(manifest);
    run(cargo).success();
    target.join("debug").join(PROGRAM)
}
