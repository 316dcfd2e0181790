//! A document played in a bash of its own.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::blocks::{Block, Kind, Shown, is_as_shown};
use super::root;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run;

/// The programs that documents use.
const PROGRAMS: &[&str] = &["bash", "unshare", "ip", "curl", "redis-cli", "redis-benchmark", "nc", "node"];

/// Stands before the output of each command; no program prints it.
const MARK: &str = "\u{1}command ";

/// The options with which a session has its own network: as root, and as somebody else.
const NETWORKS: &[&[&str]] = &[&["--net"], &["--net", "--map-root-user"]];

/// Whatever a session has started ends with it.
const ENDING: &[&str] = &["--pid", "--fork", "--kill-child"];

fn own_network() -> Option<&'static [&'static str]> {
    let works = |options: &&&[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(**options).args(ENDING).args(["ip", "link", "set", "lo", "up"]);
        run(unshare).code == Some(0)
    };
    let found = NETWORKS.iter().find(works).copied();
    if found.is_none() {
        peers::skip("network namespaces may not be made here");
    }
    found
}

/// Plays the blocks of a document, and fails with all commands that do not do as shown.  The server is there from the
/// start, or a block starts it.
pub(super) fn play(blocks: &[Block], has_server: bool) {
    play_with(Path::new(env!("CARGO_BIN_EXE_quartet")), blocks, has_server);
}

/// The same with another server than that of these sources.
pub(super) fn play_with(server: &Path, blocks: &[Block], has_server: bool) {
    for program in PROGRAMS {
        if peers::peer(program).is_none() {
            return;
        }
    }
    let (Some(python), Some(_)) = (peers::python(&["redis", "nats"]), peers::node("@upstash/redis")) else {
        return;
    };
    let Some(network) = own_network() else { return };
    let folder = Folder::new();
    let script = Script::of(blocks, has_server);
    fs::write(folder.path().join("session.sh"), &script.text).expect("the folder was just made");
    let mut command = Command::new("unshare");
    command.args(network).args(ENDING).arg("bash").arg(folder.path().join("session.sh"));
    command.env("QUARTET", server).env("PYTHON", python);
    command.env("NODE_FOLDER", root().join("tests/interop/node")).env("SESSION", folder.path());
    command.env("PRELUDE", root().join("tests/documents/prelude.sh"));
    let ended = run(command);
    let mut outputs = ended.stdout.split(MARK).skip(1);
    let mut failed = String::new();
    for expected in &script.expected {
        // Without one the session has ended before.
        let output = outputs.next().unwrap_or("nothing");
        if let Err(why) = expected.check(output) {
            failed += &why;
        }
    }
    assert!(failed.is_empty(), "{failed}\nstandard error of the session:\n{}", ended.stderr);
}

/// A command of the script, with what it is to print.
struct Expected {
    place: String,
    shown: Shown,
    /// Whether what it prints is shown.
    is_compared: bool,
}

impl Expected {
    fn check(&self, output: &str) -> Result<(), String> {
        let Expected { place, shown, is_compared } = self;
        let (code, printed) = output.split_once('\n').unwrap_or((output, ""));
        let mut lines: Vec<&str> = printed.lines().collect();
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        let wanted =
            shown.printed.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
        let fits = !is_compared || is_as_shown(&shown.printed[..wanted], &lines);
        if fits && code == "0" {
            return Ok(());
        }
        Err(format!("{place}: {}\nended with {code} and printed\n{printed}\n", shown.command))
    }
}

struct Script {
    text: String,
    expected: Vec<Expected>,
}

impl Script {
    fn of(blocks: &[Block], has_server: bool) -> Script {
        let text = "source \"$PRELUDE\"\n".to_owned();
        let mut script = Script { text, expected: Vec::new() };
        if has_server {
            script.text += "cargo run --release\n";
        }
        let mut listening = Vec::new();
        for block in blocks {
            match block.kind {
                Kind::Function | Kind::Other => {}
                Kind::Console => {
                    for shown in block.shown() {
                        script.run(block, shown, true);
                    }
                }
                Kind::Shell => {
                    let text = format!("set -e\n{}", block.text);
                    let command = format!("bash_with_tools <<'END_OF_BLOCK'\n{text}END_OF_BLOCK");
                    script.run(block, Shown { command, printed: Vec::new() }, false);
                }
                Kind::Python => script.program(block, "python_program"),
                Kind::JavaScript => script.program(block, "node_program"),
                Kind::Listen => {
                    let mut shown = block.shown().into_iter();
                    let (Some(first), None) = (shown.next(), shown.next()) else {
                        panic!("{}: one command listens", block.place)
                    };
                    writeln!(
                        script.text,
                        "listen {} <<'END_OF_BLOCK'\n{}\nEND_OF_BLOCK",
                        listening.len(),
                        first.command
                    )
                    .expect("a string takes everything");
                    listening.push((block, first));
                }
            }
        }
        for (number, (block, shown)) in listening.into_iter().enumerate() {
            let count = shown.printed.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
            let command = format!("heard {number} {count}");
            script.run(block, Shown { command, printed: shown.printed }, true);
        }
        script
    }

    fn program(&mut self, block: &Block, word: &str) {
        let command = format!("{word} <<'END_OF_BLOCK'\n{}END_OF_BLOCK", block.text);
        self.run(block, Shown { command, printed: Vec::new() }, false);
    }

    fn run(&mut self, block: &Block, shown: Shown, is_compared: bool) {
        let captured = format!("{{ {}\n}} > \"$SESSION/printed\"", shown.command);
        writeln!(self.text, "{captured}\ntell $?").expect("a string takes everything");
        self.expected.push(Expected { place: block.place.clone(), shown, is_compared });
    }
}
