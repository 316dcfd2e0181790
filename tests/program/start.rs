//! From the command line to open doors, or to one line that says why not.

use crate::support::client::Client;
use crate::support::process::{Folder, Server, quartet};
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
    assert!(ended.stderr.starts_with("quartet: "), "{}", ended.stderr);
    assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
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
    assert_eq!(ended.stdout, format!("quartet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_no_setting_is_refused() {
    check_refused(&["--nosuch", "1"], "--nosuch");
    check_refused(&["stray"], "'stray'");
    check_refused(&["--port", "70000"], "--port: '70000'");
    check_refused(&["--maxmemory", "much"], "--maxmemory: 'much'");
    check_refused(&["--maxmemory-policy", "newest"], "--maxmemory-policy: 'newest'");
    check_refused(&["--config", "absent.toml"], "absent.toml");
}

#[test]
fn what_is_not_built_yet_is_refused() {
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
    let server = Server::quartet(&["--port", "off"]);
    let ports = server.folder().ports().expect("the server serves");
    assert_eq!(ports, serde_json::json!({ "resp": null, "broker": null, "http": [] }));
}
