//! Things for the operator of the server alone: its files, and its commands for debugging.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::client::Client;
use crate::support::process::{Folder, Server};

/// All that lies below a folder, and the folder itself.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() { found.extend(tree(&path)) } else { found.push(path) }
    }
    found
}

/// Starts a server on a folder, has it write all that it keeps, and stops it.
fn run_on(data: &Path) {
    let dir = data.to_str().expect("the path is text");
    let server = Server::quartet(&["--dir", dir, "--limit-kept-from", "1"]);
    let mut client = Client::connect(server.address());
    assert!(!client.ask("LOCK.ACQUIRE printer me TTL 60000").starts_with('-'));
    assert_eq!(client.ask("RL.POLICY SET api ALGO gcra LIMIT 5 PERIOD 60000"), "OK");
}

#[track_caller]
fn check_private(data: &Path) {
    for path in tree(data) {
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
}

#[test]
fn other_users_of_the_machine_have_no_access_to_the_data() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    run_on(&data);
    assert!(tree(&data).len() > 4, "there is something to look at");
    check_private(&data);
    // Files that an earlier version left open to others are closed at the next start.
    for path in tree(&data) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("the files are ours");
    }
    fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("the folder is ours");
    run_on(&data);
    check_private(&data);
}

#[test]
fn debugging_is_for_whom_the_setting_names() {
    const REFUSED: &str = "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
                           run it from a local connection, otherwise you need to set this option in the configuration \
                           file, and then restart the server.";
    for (setting, reply) in [("no", REFUSED), ("yes", "OK"), ("local", "OK")] {
        let server = Server::quartet(&["--enable-debug-command", setting]);
        let mut client = Client::connect(server.address());
        assert_eq!(client.ask("DEBUG SLEEP 0"), reply, "{setting}");
        assert_eq!(client.ask("DEBUG HELP").starts_with('-'), setting == "no");
        let changed = client.ask("CONFIG SET enable-debug-command yes");
        assert!(changed.ends_with("can't set immutable config"), "{changed}");
    }
}
