//! The helpers for clients in `clients/`: each package's own tests against this server, its types and its build.
//!
//! The tests of a package start servers themselves, since they stop and pause them: `QUARTET` names the program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, thread};

use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::{Ended, run_in};

/// Where Debian's packages for Go are.
const GO_PATH: &str = "/usr/share/gocode";

/// Names the program of the server for the tests of a package.
const SERVER: &str = "QUARTET";

/// The folder of a package.
fn package(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

/// A program that works on a package, in its folder.
fn in_package(language: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(package(language)).env(SERVER, env!("CARGO_BIN_EXE_quartet"));
    command
}

/// Runs a program in the folder that it names.
fn run(command: Command) -> Ended {
    let place = command.get_current_dir().expect("it works on a package").to_owned();
    run_in(&place, command)
}

/// The files in a folder of a package that a test of it may name.
fn files(language: &str, folder: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(package(language).join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&is_wanted)).collect()
}

/// A folder for what a tool keeps between runs.
fn kept(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(tool)
}

/// Python with what works on the package, which finds its modules where they lie, as a module of this name.
fn python(module: &str) -> Option<Command> {
    let python = peers::python(&["redis", "pytest", "mypy", "build", "hatchling"])?;
    let mut command = in_package("python", python);
    command.env("PYTHONPATH", "src").env("PYTHONDONTWRITEBYTECODE", "1").args(["-m", module]);
    Some(command)
}

#[test]
fn python_tests() {
    // The tests wait more than they work, so the files run at the same time.
    thread::scope(|scope| {
        for file in files("python", "tests", |name| name.starts_with("test_")) {
            let Some(mut command) = python("pytest") else { return };
            command.args(["-p", "no:cacheprovider"]).arg(file);
            scope.spawn(|| run(command).success());
        }
    });
}

#[test]
fn python_types() {
    let Some(mut command) = python("mypy") else { return };
    command.arg("--cache-dir").arg(kept("mypy"));
    run(command).success();
}

#[test]
fn python_build() {
    let Some(mut command) = python("build") else { return };
    let folder = Folder::new();
    command.args(["--no-isolation", "--outdir"]).arg(folder.path());
    run(command).success();
}

/// The types of sources and tests are checked on the way.
#[test]
fn typescript_tests_and_build() {
    let (Some(node), Some(npm)) = (peers::node_in("clients/typescript", "typescript"), peers::peer("npm"))
    else {
        return;
    };
    let mut compile = in_package("typescript", &npm);
    compile.args(["run", "pretest"]);
    run(compile).success();
    let mut tests = in_package("typescript", node);
    tests.args(["--test", "--test-concurrency=4", "--test-timeout=120000"]);
    tests.args(files("typescript", "build/tests", |name| name.ends_with(".test.js")));
    run(tests).success();
    let folder = Folder::new();
    let mut pack = in_package("typescript", &npm);
    pack.args(["pack", "--pack-destination"]).arg(folder.path());
    run(pack).success();
}

/// Debian's packages are looked at and nothing is fetched, as with the other programs in Go.
#[test]
fn go_tests() {
    let Some(go) = peers::go(&Path::new(GO_PATH).join("src/github.com/gomodule/redigo")) else { return };
    for arguments in [["vet", "."].as_slice(), &["test", "-race", "."]] {
        let mut command = in_package("go", &go);
        command.args(arguments).envs([("GO111MODULE", "off"), ("GOPATH", GO_PATH), ("GOFLAGS", "")]);
        command.env("GOCACHE", kept("go"));
        run(command).success();
    }
}

/// A workspace of its own, with a target folder of its own.  A newcomer's first run does not compile its dependencies.
#[test]
fn rust_tests_and_package() {
    if !peers::required() {
        peers::skip("it compiles the dependencies of clients/rust, which only runs do that require peers");
        return;
    }
    let Some(cargo) = peers::peer("cargo") else { return };
    let test = ["test", "--locked", "--all-features"];
    let package = ["package", "--locked", "--allow-dirty", "--no-verify"];
    for arguments in [test.as_slice(), &package] {
        let mut command = in_package("rust", &cargo);
        command.args(arguments).arg("--target-dir").arg(kept("clients-rust"));
        run(command).success();
    }
}
