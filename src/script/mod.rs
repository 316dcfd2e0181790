//! Scripts in Lua, as Redis has them: the texts that the server knows, each thread's Lua, and the libraries that scripts have.
//!
//! The engine knows no command: a run is given a function that runs one.  `running` is that function; it and `commands`
//! lie above the command table.

mod arguments;
pub mod commands;
mod engine;
mod library;
mod number_text;
mod raised;
mod running;
mod service;
mod shebang;
mod texts;
mod walk;

pub use service::SERVICE;
pub use texts::Scripts;
