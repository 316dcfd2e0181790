//! The settings: one table, read from the command line, the environment and a TOML file, changed by CONFIG SET.
//!
//! `table` lists them, `kind` says what a value may be, `load` reads the sources at start (`command_line`
//! and `file` are two of them), `live` is what the running server asks and CONFIG changes, `page` prints the
//! table as `docs/settings.md`.

mod command_line;
mod connections;
mod file;
mod kind;
mod live;
mod load;
mod page;
mod suggest;
mod table;
mod values;

pub use kind::Kind;
pub use live::{Changes, Live};
pub use load::{Loaded, Stop, load, of_process};
pub use page::markdown;
pub use table::{Change, SETTINGS, Setting, Settings};
pub use values::{
    EvictionPolicy, LockDurability, LogFormat, LogLevel, OutputClass, OutputLimit, OutputLimits,
    ProtectedAction,
};
