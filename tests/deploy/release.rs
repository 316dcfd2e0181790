//! The archive that is handed out, packed by the release script.  The program of these tests stands in for an optimised one.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::path;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// What every archive holds, below its own folder.
const HELD: &[&str] = &[
    "quartet",
    "quartet.debug",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/http.md",
    "man/quartet.1",
    "completions/quartet.bash",
    "completions/_quartet",
    "completions/quartet.fish",
    "systemd/quartet.service",
    "prometheus/alerts.yml",
    "grafana/dashboards/overview.json",
];

/// Packs into a folder; `work` has the program where cargo would have left it, and a cargo that builds nothing.
fn pack(work: &Path, made: &Path) {
    let tools = work.join("tools").into_os_string().into_string().expect("the path is text");
    let mut script = Command::new(path("deploy/release.sh"));
    script.arg("x86_64").arg(made).env("CARGO_TARGET_DIR", work);
    script.env("PATH", format!("{tools}:{}", env::var("PATH").expect("there is a path")));
    run(script).success();
}

#[test]
fn the_archive_of_a_release_is_whole_and_the_same_each_time() {
    let is_possible = cfg!(target_arch = "x86_64")
        && ["objcopy", "tar", "git"].iter().all(|name| peers::peer(name).is_some());
    if !is_possible {
        return;
    }
    let folder = Folder::new();
    let work = folder.path();
    for name in ["tools", "x86_64-unknown-linux-gnu/release"] {
        fs::create_dir_all(work.join(name)).expect("the folder was just made");
    }
    let cargo = work.join("tools/cargo");
    fs::write(&cargo, "#!/bin/sh\n").expect("the folder was just made");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("the file was just made");
    // Without its debugging information, which would be ten times as much to pack as all else.
    let mut strip = Command::new("objcopy");
    strip.arg("--strip-debug").arg(env!("CARGO_BIN_EXE_quartet"));
    strip.arg(work.join("x86_64-unknown-linux-gnu/release/quartet"));
    run(strip).success();
    let archive = format!("quartet-{}-x86_64-linux", env!("CARGO_PKG_VERSION"));
    let packed = ["one", "other"].map(|name| {
        let made = work.join(name);
        pack(work, &made);
        fs::read(made.join(format!("{archive}.tar.gz"))).expect("it was just packed")
    });
    assert!(packed[0] == packed[1], "the same sources make the same archive");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(work.join(format!("one/{archive}.tar.gz"))).arg("-C").arg(work);
    run(tar).success();
    for name in HELD {
        assert!(work.join(&archive).join(name).is_file(), "{name} is missing");
    }
    let mut program = Command::new(work.join(&archive).join("quartet"));
    program.arg("--version");
    assert!(run(program).success().stdout.starts_with(concat!("quartet ", env!("CARGO_PKG_VERSION"))));
}
