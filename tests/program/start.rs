//! From the command line to open doors, or to one line that says why not.

use crate::support::client::Client;
use crate::support::process::{Folder, Server, quartet, wait_for};
use crate::support::program::{Ended, run};

/// Runs the program to its end with `arguments`.
fn quartet_with(arguments: &[&str]) -> Ended {
    let mut command = quartet(&Folder::new());
    command.args(arguments);
    run(command)
}

/// Looks that the program refuses `arguments` with one line that names `problem`.
fn check_refused(arguments: &[&str], problem: &str) {
    let ended = quartet_with(arguments);
    assert_eq!(ended.code, Some(1), "{arguments:?}");
    assert_eq!(ended.stdout, "", "{arguments:?}");
    // Before it there may be lines of the log, as about the limit on open files.
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert!(
        matches!(lines[..], [line] if line.starts_with("quartet: ") && line.contains(problem)),
        "{}",
        ended.stderr
    );
}

#[test]
fn help_names_every_setting() {
    let ended = quartet_with(&["--help"]).success();
    assert_eq!(ended.stderr, "");
    for setting in quartet::settings::SETTINGS {
        assert!(ended.stdout.contains(&format!("--{} ", setting.name)), "{} is missing", setting.name);
    }
}

#[test]
fn version() {
    let ended = quartet_with(&["--version"]).success();
    assert_eq!(ended.stdout, format!("quartet {}\n", quartet::version::TEXT));
}

#[test]
fn an_unknown_setting_is_refused() {
    check_refused(&["--nosuch", "1"], "--nosuch");
    check_refused(&["--prot", "1"], "did you mean --port?");
    check_refused(
        &["--ports-file", "/no/such/folder/ports.json", "--port", "0", "--dir", ""],
        "--ports-file",
    );
    check_refused(&["stray"], "'stray'");
    check_refused(&["--port", "70000"], "--port: '70000'");
    check_refused(&["--maxmemory", "much"], "--maxmemory: 'much'");
    check_refused(&["--maxmemory-policy", "newest"], "--maxmemory-policy: 'newest'");
    check_refused(&["--config", "absent.toml"], "absent.toml");
}

#[test]
fn a_setting_that_is_not_built_yet_is_refused() {
    check_refused(&["--appendonly", "yes"], "not built yet");
    check_refused(&["--save", "60 1"], "not built yet");
}

#[test]
fn a_taken_port_is_refused() {
    let server = Server::quartet(&[]);
    let address = server.address().to_string();
    check_refused(&["--dir", "", "--port", &server.port()], &address);
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
}

#[test]
fn an_environment_variable_is_a_setting_too() {
    let mut command = quartet(&Folder::new());
    command.env("QUARTET_MAXMEMORY", "much");
    let ended = run(command);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("QUARTET_MAXMEMORY"), "{}", ended.stderr);
}

#[test]
fn the_ports_file_tells_where_the_doors_are() {
    let server = Server::quartet(&[]);
    let ports = server.folder().ports().expect("the server serves");
    let expected = serde_json::json!({ "resp": server.address().to_string(), "broker": null, "http": [] });
    assert_eq!(ports, expected);
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
}

#[test]
fn a_closed_door_has_no_address() {
    let server = Server::quartet(&["--port", "off", "--http-port", "0"]);
    let ports = server.folder().ports().expect("the server serves");
    assert_eq!(ports["resp"], serde_json::Value::Null);
    assert_eq!(ports["http"].as_array().map(Vec::len), Some(1));
    check_refused(
        &["--port", "off", "--broker-port", "off", "--http-port", "off"],
        "nothing would be served",
    );
}

#[test]
fn a_stray_variable_is_only_warned_of() {
    let server = Server::quartet_as(&[], |mut command| {
        command.env("QUARTET_VERSION", "7").env("QUARTET_MAXMEMORY", "").env("QUARTET_PROTECTD_MODE", "no");
        command
    });
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
    for part in ["QUARTET_VERSION", "QUARTET_MAXMEMORY", "did you mean QUARTET_PROTECTED_MODE?"] {
        wait_for(|| server.folder().stderr().contains(part).then_some(()));
    }
}

#[test]
fn a_name_of_this_machine_is_an_address() {
    let server = Server::quartet(&["--bind", "localhost"]);
    assert!(server.address().ip().is_loopback());
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
}

#[test]
fn a_door_to_other_machines_without_a_password_is_warned_of() {
    let warning = |arguments: &[&str]| {
        let server = Server::quartet(arguments);
        let log = wait_for(|| Some(server.folder().stderr()).filter(|log| log.contains("serving")));
        drop(server);
        log.contains("other machines can reach this server, which has no password")
    };
    assert!(warning(&["--bind", "0.0.0.0"]));
    assert!(!warning(&["--bind", "127.0.0.1"]));
    assert!(!warning(&["--bind", "0.0.0.0", "--requirepass", "sesame"]));
}
