//! The `quartet` program: settings in, exit code out.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = quartet::settings::Settings::default();
    match quartet::server::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("quartet: {reason}");
            ExitCode::FAILURE
        }
    }
}
