//! Client programs: run to their end, and what they printed.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use super::process::{Folder, with_output_in};

/// The output of a program that has ended.
pub(crate) struct Ended {
    /// Its exit code, or nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails with all that was printed unless the program ended well.
    pub(crate) fn success(self) -> Ended {
        assert_eq!(self.code, Some(0), "standard output:\n{}\nstandard error:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs `command` to its end.
pub(crate) fn run(command: Command) -> Ended {
    run_with_input(command, b"")
}

/// Runs `command` to its end with `input` on its standard input.
pub(crate) fn run_with_input(command: Command, input: &[u8]) -> Ended {
    let folder = Folder::new();
    let mut command = with_output_in(&folder, command);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program was found");
    let mut stdin = child.stdin.take().expect("its standard input was asked for");
    let status = thread::scope(|scope| {
        // A program may end before it has read everything; its exit code tells.
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait().expect("the child is ours")
    });
    Ended { code: status.code(), stdout: folder.stdout(), stderr: folder.stderr() }
}
