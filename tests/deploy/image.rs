//! The steps of the Dockerfile, run in clean roots: a release build and two Debians, so only in long runs.

use std::env;
use std::process::Command;

use super::path;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

#[test]
fn the_steps_of_the_image_work_in_clean_roots() {
    if env::var_os("QUARTET_LONG").is_none() {
        return;
    }
    let (Some(python), Some(_)) = (peers::peer("python3"), peers::peer("debootstrap")) else { return };
    if !rustix::process::geteuid().is_root() {
        peers::skip("only root makes a root folder of its own");
        return;
    }
    let folder = Folder::new();
    let mut command = Command::new(python);
    command.arg(path("tests/deploy/clean_root.py")).arg(folder.path());
    let ended = run(command).success();
    assert!(
        ended.stdout.ends_with("the image was built, served, kept its data and stopped\n"),
        "{}",
        ended.stdout
    );
}
