//! Policies in the file of settings, which is read again when it changes.

use std::fs;

use super::{check, connect, put_policy};
use crate::support::process::{Folder, Server, quartet, wait_for};

const FILE: &str = r#"
timeout = 300

[limits.api]
[[limits.api.limits]]
name = "user"
algorithm = "gcra"
limit = 10
period_ms = 60000

[limits.login]
limits = [{ algorithm = "log", limit = 3, period_ms = 3600000 }]
deny = ["root"]
"#;

#[test]
fn policies_follow_the_file() {
    let folder = Folder::new();
    let path = folder.path().join("quartet.toml");
    fs::write(&path, FILE).expect("the folder was just made");
    let server = Server::quartet(&["--http-port", "0", "--config", &path.display().to_string()]);
    let mut http = connect(&server);
    let limit = |query: &str| check(&mut connect(&server), query, "x").json()["limit"].as_i64();
    assert_eq!((limit("?policy=api"), limit("?policy=login"), limit("")), (Some(10), Some(3), Some(100)));
    assert_eq!(check(&mut http, "?policy=login", "root").status, 429);
    put_policy(&mut http, "mine", r#"{"limits": [{"algorithm": "gcra", "limit": 5, "period_ms": 1000}]}"#);

    let wrong = FILE.replace("limit = 10", "limit = 0");
    fs::write(&path, &wrong).expect("the folder is there");
    wait_for(|| server.folder().stderr().contains("limit is 0; allowed is").then_some(()));
    assert_eq!(limit("?policy=api"), Some(10), "a wrong file changes nothing");

    let changed = FILE.replace("limit = 10", "limit = 2000").replace("[limits.login]", "[limits.sign-in]");
    fs::write(&path, changed).expect("the folder is there");
    wait_for(|| (limit("?policy=api") == Some(2000)).then_some(()));
    assert_eq!(limit("?policy=sign-in"), Some(3));
    assert_eq!(check(&mut http, "?policy=login", "x").status, 404, "it is in the file no more");
    assert_eq!(limit("?policy=mine"), Some(5), "what clients made is left alone");
}

#[test]
fn the_default_policy_comes_back_when_the_file_has_none() {
    let folder = Folder::new();
    let path = folder.path().join("quartet.toml");
    let own = "[limits.default]\nlimits = [{ algorithm = \"gcra\", limit = 7, period_ms = 60000 }]\n";
    fs::write(&path, own).expect("the folder was just made");
    let server = Server::quartet(&["--http-port", "0", "--config", &path.display().to_string()]);
    let limit = || check(&mut connect(&server), "", "x").json()["limit"].as_i64();
    assert_eq!(limit(), Some(7));
    fs::write(&path, FILE).expect("the folder is there");
    wait_for(|| (limit() == Some(100)).then_some(()));
}

#[test]
fn a_wrong_policy_stops_the_start_with_a_line() {
    for (text, expected) in [
        (FILE.replace("gcra", "magic"), "algorithm is magic; allowed is gcra, sliding"),
        (FILE.replace("period_ms = 60000", "period = 60000"), "line 9: unknown field `period`"),
        (FILE.replace("[limits.api]", "[limitz.api]"), "limitz is no setting"),
    ] {
        let folder = Folder::new();
        let path = folder.path().join("quartet.toml");
        fs::write(&path, text).expect("the folder was just made");
        let mut command = quartet(&folder);
        command.args(["--port", "0", "--http-port", "off", "--broker-port", "off", "--dir", "", "--config"]);
        let ended = command.arg(&path).status().expect("the binary was built for this test");
        let stderr = folder.stderr();
        assert!(!ended.success() && stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn policies_that_leave_the_file_while_no_server_runs_are_gone() {
    let folder = Folder::new();
    let path = folder.path().join("quartet.toml");
    let data = folder.path().join("data").display().to_string();
    let config = path.display().to_string();
    let start = || Server::quartet(&["--http-port", "0", "--dir", &data, "--config", &config]);
    let limit =
        |server: &Server, query: &str| check(&mut connect(server), query, "x").json()["limit"].as_i64();
    let own = "\n[limits.default]\nlimits = [{ algorithm = \"gcra\", limit = 7, period_ms = 60000 }]\n";
    let put = |server: &Server, name: &str, limit: u32| {
        let definition =
            format!(r#"{{"limits": [{{"algorithm": "gcra", "limit": {limit}, "period_ms": 60000}}]}}"#);
        put_policy(&mut connect(server), name, &definition);
    };

    fs::write(&path, "timeout = 300\n").expect("the folder was just made");
    let first = start();
    // What clients have said of these names before the file had them is void once it has.
    put(&first, "login", 50);
    put(&first, "default", 60);
    put(&first, "mine", 5);
    fs::write(&path, format!("{FILE}{own}")).expect("the folder is there");
    wait_for(|| (limit(&first, "?policy=login") == Some(3)).then_some(()));
    drop(first);

    let second = start();
    assert_eq!((limit(&second, "?policy=api"), limit(&second, "")), (Some(10), Some(7)));
    put(&second, "api", 20);
    drop(second);

    fs::write(&path, "timeout = 300\n").expect("the folder is there");
    let third = start();
    let status = |query: &str| check(&mut connect(&third), query, "x").status;
    assert_eq!(status("?policy=login"), 404);
    assert_eq!(limit(&third, ""), Some(100), "the default is what it is on a fresh server");
    assert_eq!(limit(&third, "?policy=mine"), Some(5));
    assert_eq!(limit(&third, "?policy=api"), Some(20), "a client has made it anew");
}
