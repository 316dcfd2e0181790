//! Tells the program which commit it is built from: `QUARTET_COMMIT` where that is set, else what `git archive` has
//! written into `commit.txt`, else what git says.  Without any of them the program names its version only.
//!
//! A debug build does not ask git, so that it is not compiled anew after each commit.

use std::process::Command;
use std::{env, fs};

/// Shown digits of a commit.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit.txt");
    println!("cargo::rerun-if-env-changed=QUARTET_COMMIT");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let from_git = || if is_release { from_git() } else { None };
    let commit = from_environment().or_else(from_archive).or_else(from_git).unwrap_or_default();
    let suffix = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    println!("cargo::rustc-env=QUARTET_BUILT_FROM={commit}");
    println!("cargo::rustc-env=QUARTET_BUILT_FROM_SUFFIX={suffix}");
}

fn from_environment() -> Option<String> {
    cut(&env::var("QUARTET_COMMIT").ok()?)
}

/// In an archive that git has made, its placeholder is replaced.
fn from_archive() -> Option<String> {
    cut(fs::read_to_string("commit.txt").ok()?.trim())
}

fn from_git() -> Option<String> {
    // Unpacked sources may lie in somebody else's repository.
    if !git(&["rev-parse", "--show-prefix"])?.trim().is_empty() {
        return None;
    }
    let commit = cut(git(&["rev-parse", "HEAD"])?.trim())?;
    for name in ["HEAD", "logs/HEAD", "index"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        println!("cargo::rerun-if-changed={}", path.trim());
    }
    for folder in ["src", "protocol/src"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.trim().is_empty() { commit } else { format!("{commit} and changes") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first digits of a commit, if it is one.
fn cut(commit: &str) -> Option<String> {
    let is_commit = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| commit.chars().take(DIGITS).collect())
}
