//! A directory for data that cannot be used is found at the start, with what helps.

use std::fs;
use std::path::Path;

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, quartet};
use crate::support::program::run;

/// Looks that the program does not start with `--dir PATH`, and that its one line has all of `parts`.
fn check_refused(path: &Path, parts: &[&str]) {
    let mut command = quartet(&Folder::new());
    command.args(["--port", "0", "--broker-port", "off", "--http-port", "off", "--dir"]).arg(path);
    let ended = run(command);
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("quartet: ")).collect();
    assert_eq!((ended.code, lines.len()), (Some(1), 1), "{}", ended.stderr);
    for part in parts {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
}

#[test]
fn a_file_in_its_place_is_found() {
    let folder = Folder::new();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").expect("the folder can be written");
    check_refused(&file, &["it is no directory", "--dir"]);
    let is_no_directory = format!("{} is no directory", file.display());
    check_refused(&file.join("below/that"), &["cannot use", &is_no_directory, "--dir"]);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).expect("the folder can be written");
    check_refused(&link, &["it is no directory", "--dir"]);
    // The same in place of what goes into it.
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("the folder can be written");
    fs::write(data.join("locks"), "in the way").expect("the folder can be written");
    check_refused(&data, &["locks", "--dir"]);
    fs::rename(data.join("locks"), data.join("limits")).expect("the folder can be written");
    check_refused(&data, &["limits", "--dir"]);
    fs::rename(data.join("limits"), data.join("journal")).expect("the folder can be written");
    check_refused(&data, &["journal", "--dir"]);
}

#[test]
fn a_file_system_that_refuses_is_found() {
    check_refused(Path::new("/proc/quartet-data"), &["/proc/quartet-data", "--dir"]);
    check_refused(Path::new("/dev/full"), &["it is no directory", "--dir"]);
}

#[test]
fn a_second_server_does_not_start_in_it() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let first = Server::quartet(&["--dir", data.to_str().expect("it is text")]);
    check_refused(&data, &["another server uses", "stop that one, or choose another directory with --dir"]);
    assert_eq!(Client::connect(first.address()).ask("PING"), "PONG");
    drop(first);
    let next = Server::quartet(&["--dir", data.to_str().expect("it is text")]);
    assert!(Client::connect(next.address()).ask("LOCK.ACQUIRE door ann TTL 1000").starts_with("[fence, "));
}

/// Two caches without settings can run in one directory; once one of them keeps
/// something, the other says that it cannot.
#[test]
fn the_unnamed_directory_belongs_to_who_first_keeps_something() {
    let shared = Folder::new();
    let start = || {
        Server::quartet_as(&["--dir", "./quartet-data", "--http-port", "0"], |mut command| {
            command.current_dir(shared.path());
            command
        })
    };
    let (first, second) = (start(), start());
    for server in [&first, &second] {
        assert_eq!(Client::connect(server.address()).ask("SET key value"), "OK");
        assert_eq!(Http::connect(server.http_address()).get("/health/ready").status, 200);
    }
    assert!(!shared.path().join("quartet-data").exists());
    assert!(Client::connect(first.address()).ask("LOCK.ACQUIRE door ann TTL 60000").starts_with("[fence, "));
    assert_eq!(Http::connect(first.http_address()).get("/health/ready").status, 200);
    let ready = Http::connect(second.http_address()).get("/health/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("another server uses"), "{}", ready.text());
    assert!(!ready.text().contains("broker"), "{}", ready.text());
}
