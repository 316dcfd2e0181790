//! What the program itself prints: its help, its version, and the reports of `quartet stream`.

use std::io::{self, Write};

/// Prints a text.
///
/// # Errors
/// If it cannot be written.
pub fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `head` closes the pipe early, which is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}
