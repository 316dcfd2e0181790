//! The server as compose.yaml runs it, asked from another network namespace as through published ports.

use std::process::Command;

use super::path;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// What the script prints, or nothing where namespaces may not be made.
fn asked_from_elsewhere(password: &str) -> Option<String> {
    for program in ["bash", "unshare", "nsenter", "ip"] {
        peers::peer(program)?;
    }
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--net", "--mount", "--pid", "--fork", "ip", "link", "add", "one", "type", "veth", "peer", "two",
    ]);
    if run(unshare).code != Some(0) {
        peers::skip("network namespaces may not be made here");
        return None;
    }
    let folder = Folder::new();
    let mut script = Command::new(path("tests/deploy/published.sh"));
    script.arg(env!("CARGO_BIN_EXE_quartet")).arg(folder.path()).arg(password);
    Some(run(script).success().stdout)
}

#[test]
fn published_ports_are_served_with_a_password() {
    let Some(answers) = asked_from_elsewhere("sesame") else { return };
    let expected = "health: up\n6379: +PONG\n4222: PONG\n5000: HTTP/1.1 404 Not Found\n8000: HTTP/1.1 404 Not Found\n\
                    8080: HTTP/1.1 404 Not Found\n";
    assert_eq!(answers, expected);
}

#[test]
fn published_ports_are_refused_without_a_password() {
    let Some(answers) = asked_from_elsewhere("") else { return };
    let (health, rest) = answers.split_once('\n').expect("several lines were printed");
    assert_eq!(health, "health: up", "the server itself is well");
    assert!(rest.contains("6379: -DENIED "), "{rest}");
    assert_eq!(rest.matches(": HTTP/1.1 403 Forbidden").count(), 3, "{rest}");
}
