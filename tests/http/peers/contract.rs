//! Schemathesis, which makes requests up from the description of the API and looks whether the responses keep to it.

use std::process::Command;

use super::{address, server};
use crate::support::peers;
use crate::support::program::run;

/// Its command line as a program of the Python that has it.  An object on one line is a batch of one.
const PROGRAM: &str = "import schemathesis; \
                       schemathesis.serializer.alias('application/x-ndjson', 'application/json'); \
                       from schemathesis.cli import schemathesis; schemathesis()";

/// What a description cannot say is not asked for: that a request has to fit what is there (If-Match, a held lock).
const UNCHECKED: &str = "positive_data_acceptance";

/// Responses without an end, and requests that nobody answers, so that they fail with 503.
const OTHER_PATHS: &str = "/events$|^/figures$|^/subscribe|^/request/|^/kv/";

#[test]
fn no_request_breaks_the_description() {
    let Some(python) = peers::python(&["schemathesis"]) else { return };
    let server = server();
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM, "run", &address(&server, "/openapi.json")]);
    command.args(["--max-examples", "10", "--seed", "1", "--workers", "1", "--no-color"]);
    command.args(["--continue-on-failure", "--exclude-checks", UNCHECKED]);
    command.args(["--exclude-path-regex", OTHER_PATHS]);
    let ended = run(command).success();
    assert!(ended.stdout.contains("Test cases:"), "{}", ended.stdout);
}
