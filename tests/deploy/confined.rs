//! The unit of systemd and the image as they start the server: without rights, with a root that cannot be written.
//!
//! The calls that the unit forbids (`SystemCallFilter`, `MemoryDenyWriteExecute`) are not forbidden here: that takes systemd.

use std::process::Command;

use super::{path, read};
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// Runs the server with these settings, of which `data` is the folder for data, and looks that a lock outlives a stop.
fn check(data: &str, settings: &[String]) {
    for program in ["bash", "unshare", "setpriv", "ip", "mount"] {
        if peers::peer(program).is_none() {
            return;
        }
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "--pid", "--fork", "mount", "-o", "remount,bind,ro", "/"]);
    if run(unshare).code != Some(0) {
        peers::skip("namespaces may not be made here");
        return;
    }
    let folder = Folder::new();
    let place = folder.path().join("data");
    let place = place.to_str().expect("the path is text");
    let mut script = Command::new(path("tests/deploy/confined.sh"));
    script.arg(env!("CARGO_BIN_EXE_quartet")).arg(folder.path());
    script.args(settings.iter().map(|setting| setting.replace(data, place)));
    // Granted with four pairs; the second time alice has it already.
    assert_eq!(run(script).success().stdout, "*8\nended with 0\n$-1\nended with 0\n");
}

#[test]
fn the_unit_starts_without_rights() {
    let unit = read("deploy/systemd/quartet.service");
    let lines = |name: &str| -> Vec<String> {
        unit.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
    };
    assert_eq!(lines("ExecStart="), ["/usr/local/bin/quartet"], "it starts the program and nothing else");
    check("%S/quartet", &lines("Environment="));
}

#[test]
fn the_image_starts_without_rights() {
    let file = read("Dockerfile").replace("\\\n", "");
    let variables = file.lines().find_map(|line| line.strip_prefix("ENV ")).expect("it has variables");
    // Values with spaces stand in quotes.
    let mut settings: Vec<String> = Vec::new();
    for (number, part) in variables.split('"').enumerate() {
        if number % 2 == 1 {
            settings.last_mut().expect("a name stands before it").push_str(part);
        } else {
            settings.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    assert!(file.contains("USER 10001:10001") && file.contains("ENTRYPOINT [\"quartet\"]"));
    settings.push("QUARTET_REQUIREPASS=".to_owned());
    check("/data", &settings);
}
