//! Client programs: run to their end, and what they printed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::process::{Folder, wait_for, with_output_in};

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

/// A program that has not ended yet.
pub(crate) struct Running {
    child: Child,
    folder: Folder,
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(command: Command) -> Running {
        let folder = Folder::new();
        let child = with_output_in(&folder, command).spawn().expect("the program was found");
        Running { child, folder }
    }

    /// Waits until it has printed this line, or has ended.
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        wait_for(|| {
            let has_ended = self.child.try_wait().expect("the child is ours").is_some();
            (has_ended || self.folder.stdout().lines().any(|other| other == line)).then_some(())
        });
    }

    /// Kills it, so that it has no time to say goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it has not ended");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.child.wait().expect("the child is ours");
        Ended { code: status.code(), stdout: self.folder.stdout(), stderr: self.folder.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that fails leaves nothing behind; a program that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end.
pub(crate) fn run(command: Command) -> Ended {
    run_with_input(command, b"")
}

/// Runs `command` to its end in `place`.
pub(crate) fn run_in(place: &Path, command: Command) -> Ended {
    run_where(Some(place), command, b"")
}

/// Runs `command` to its end with `input` on its standard input.
pub(crate) fn run_with_input(command: Command, input: &[u8]) -> Ended {
    run_where(None, command, input)
}

/// Runs `command` in `place`, or in a folder of its own.
fn run_where(place: Option<&Path>, command: Command, input: &[u8]) -> Ended {
    let folder = Folder::new();
    let mut command = with_output_in(&folder, command);
    if let Some(place) = place {
        command.current_dir(place);
    }
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program was found");
    let mut stdin = child.stdin.take().expect("its standard input was asked for");
    let status = thread::scope(|scope| {
        // A program may end before it has read everything; its exit code tells.
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait().expect("the child is ours")
    });
    Ended { code: status.code(), stdout: folder.stdout(), stderr: folder.stderr() }
}
