//! The folders in which earlier versions kept locks and limits are taken over by the first start, and by that alone.

use std::fs;
use std::path::Path;

use crate::support::client::Client;
use crate::support::process::{Folder, Server, quartet};
use crate::support::program::run;
use crate::support::segments::{FIRST_SEGMENT, untagged_segment};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// That an owner holds a resource exclusively under a fence for ten minutes.
fn grant(fence: u64, owner: &str, resource: &str) -> Vec<u8> {
    let numbers = [fence, 600_000, 1, 0, 1, 0].map(u64::to_le_bytes).concat();
    [vec![2], numbers, text(owner), text(""), text(""), text(resource)].concat()
}

/// The time of the records behind it, and keys that are denied.
fn denied(keys: &[&str]) -> Vec<Vec<u8>> {
    let time =
        [vec![1], 1_700_000_000_000_000i64.to_le_bytes().to_vec(), (1u64 << 61).to_le_bytes().to_vec()];
    let listed = keys.iter().map(|key| [&[7, 1], key.as_bytes()].concat());
    [time.concat()].into_iter().chain(listed).collect()
}

fn write(folder: &Path, version: u32, records: &[Vec<u8>]) {
    fs::create_dir_all(folder).expect("the folder is ours");
    fs::write(folder.join("LOCK"), "").expect("the folder is ours");
    fs::write(folder.join(FIRST_SEGMENT), untagged_segment(version, records)).expect("the folder is ours");
}

#[test]
fn locks_and_limits_of_an_earlier_version_are_there_after_the_first_start() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    write(&data.join("locks"), 2, &[grant(7, "ann", "x"), grant(8, "ben", "y")]);
    write(&data.join("limits"), 1, &denied(&["mallory", "eve"]));
    let dir = data.display().to_string();
    for start in 0..3 {
        let server = Server::quartet(&["--dir", &dir]);
        let mut client = Client::connect(server.address());
        for (resource, holder) in [("x", "owner, ann, mode, exclusive, fence, 7,"), ("y", "owner, ben,")] {
            let report = client.ask(&format!("LOCK.INFO {resource}"));
            assert!(report.contains(holder), "start {start}: {report}");
        }
        assert_eq!(client.ask("RL.DENY LIST"), "[mallory, eve]", "start {start}");
        assert!(!data.join("locks").exists() && !data.join("limits").exists());
        // Dropped, it is killed.
    }
    // An earlier version has run meanwhile: nothing is guessed.
    write(&data.join("locks"), 2, &[grant(1, "cyd", "x"), grant(2, "cyd", "z")]);
    let mut command = quartet(&Folder::new());
    let ended = run({
        command.args(["--port", "0", "--broker-port", "off", "--http-port", "off", "--dir", &dir]);
        command
    });
    assert_eq!(ended.code, Some(1));
    let expected =
        format!("quartet: {dir}/locks and {dir}/journal both hold data, because an earlier version");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    assert!(data.join("locks").join(FIRST_SEGMENT).exists());
}

#[test]
fn kept_limits_wait_while_they_are_not_kept() {
    let folder = Folder::new();
    let dir = folder.path().join("data").display().to_string();
    let start = |kept_from: &str| Server::quartet(&["--dir", &dir, "--limit-kept-from", kept_from]);
    let first = start("60");
    assert_eq!(Client::connect(first.address()).ask("RL.DENY ADD mallory"), "1");
    drop(first);
    for lock in ["x", "y"] {
        let server = start("0");
        let mut client = Client::connect(server.address());
        assert_eq!(client.ask("RL.DENY LIST"), "[]");
        assert!(client.ask(&format!("LOCK.ACQUIRE {lock} ann TTL 600000")).starts_with("[fence, "));
        assert_eq!(client.ask("RL.DENY ADD unkept"), "1");
    }
    let last = start("60");
    let mut client = Client::connect(last.address());
    assert_eq!(client.ask("RL.DENY LIST"), "[mallory]");
    assert_ne!(client.ask("LOCK.INFO x"), "(nil)");
}
