//! Scripts in Lua, as Redis has them: the texts that the server knows, each thread's Lua, and the libraries that scripts have.
//!
//! The engine knows no command: a run is given a function that runs one.  `running` is that function; it, `loading` and
//! `commands` lie above the command table.

mod arguments;
pub mod commands;
mod engine;
mod libraries;
mod library;
mod loading;
mod memory;
mod meter;
mod number_text;
mod program;
mod raised;
mod running;
mod service;
mod shebang;
mod shown;
mod supervision;
mod texts;
mod walk;

pub use libraries::Libraries;
pub use service::SERVICE;
pub use supervision::{Kind, Supervisor};
pub use texts::{ScriptFigures, Scripts};
