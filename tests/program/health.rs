//! `quartet health`, as a probe of a container runs it.

use std::fs;

use crate::support::client::{Client, text};
use crate::support::process::{Folder, Server, quartet};
use crate::support::program::{Ended, run};

/// Asks with further settings; where the ports file is decides which server is meant.
fn health(folder: &Folder, arguments: &[&str]) -> Ended {
    let elsewhere = Folder::new();
    let mut command = quartet(&elsewhere);
    // The words before are those of a server.
    let program = command.get_program().to_owned();
    command = std::process::Command::new(program);
    command.arg("health").arg("--ports-file").arg(folder.ports_file()).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUARTET_") {
            command.env_remove(name);
        }
    }
    run(command)
}

/// A bearer token would lose the space at its end.
const PASSWORD: &str = "sesame ";

#[track_caller]
fn check(folder: &Folder, arguments: &[&str], code: i32, stdout: &str, stderr: &str) {
    let ended = health(folder, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), stdout), "{}", ended.stderr);
    assert!(ended.stderr.contains(stderr), "{}", ended.stderr);
}

#[test]
fn a_server_is_asked_at_the_first_port_that_it_has_open() {
    for open in [&["--http-port", "0"][..], &[], &["--port", "off", "--broker-port", "0"]] {
        for password in [&[][..], &["--requirepass", "sesame"]] {
            let server = Server::quartet(&[open, password].concat());
            // The password is one of the server's settings; a probe that does not know it is answered too.
            check(server.folder(), password, 0, "up\n", "");
            check(server.folder(), &[], 0, "up\n", "");
        }
    }
}

#[test]
fn a_server_that_cannot_keep_its_data_is_not_ready() {
    let data = Folder::new();
    let directory = data.path().join("data");
    let directory = directory.to_str().expect("the path is text");
    let server = Server::quartet(&["--http-port", "0", "--dir", directory, "--requirepass", PASSWORD]);
    let mut client = Client::connect(server.address());
    assert_eq!(text(&client.call(&["AUTH", PASSWORD])), "OK");
    assert!(client.ask("LOCK.ACQUIRE printer alice TTL 30000").contains('1'));
    fs::remove_dir_all(directory).expect("the journal was made");
    check(server.folder(), &[], 1, "down\n", "");
    let ended = health(server.folder(), &["--requirepass", PASSWORD]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("down; disk: ") && ended.stdout.contains("is gone"), "{}", ended.stdout);
}

#[test]
fn nobody_who_answers_is_a_failure_with_its_reason() {
    let server = Server::quartet(&["--http-port", "0"]);
    let folder = Folder::new();
    fs::copy(server.folder().ports_file(), folder.ports_file()).expect("the server serves");
    check(&folder, &[], 0, "up\n", "");
    drop(server);
    check(&folder, &[], 1, "", "does not answer: Connection refused");
    check(&Folder::new(), &[], 1, "", "ports.json: No such file");
    check(&folder, &["--prot", "1"], 1, "", "did you mean --port?");
}

#[test]
fn something_else_that_answers_is_no_server_of_ours() {
    let server = Server::quartet(&[]);
    let folder = Folder::new();
    let ports = serde_json::json!({ "http": [server.address()], "resp": null, "broker": null });
    fs::write(folder.ports_file(), ports.to_string()).expect("the folder was just made");
    let ended = health(&folder, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("it is no answer of /health/ready"), "{}", ended.stderr);
}
