//! A browser, which opens the documentation page and shows what its scripts have made of it.

use std::process::Command;

use super::{address, server};
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// Time that passes for the page's timers, in milliseconds; it does not pass for us.
const PAGE_TIME: &str = "--virtual-time-budget=20000";

/// No other name than that of this machine is found, so whatever a page wants from elsewhere is missing.
const OFFLINE: &str = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1";

#[test]
fn the_documentation_shows_every_operation_without_internet() {
    let Some(program) = peers::peer("chromium") else { return };
    let server = server();
    let profile = Folder::new();
    let mut command = Command::new(program);
    command.args(["--headless", "--disable-gpu", "--dump-dom", PAGE_TIME, OFFLINE]);
    // It refuses to run as root otherwise, as which tests may run; the only page it opens is ours.
    command.arg("--no-sandbox").arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(address(&server, "/docs/"));
    let page = run(command).success().stdout;
    let description = serde_json::to_value(quartet::http::openapi()).expect("it is JSON");
    for path in description["paths"].as_object().expect("it has paths").keys() {
        assert!(page.contains(&format!("data-path=\"{path}\"")), "{path} is not on the page:\n{page}");
    }
}
