//! The settings: one table, read from the command line, the environment and a TOML file, changed by CONFIG SET.
//!
//! `table` lists them, `kind` says what a value may be, `load` reads the sources at start (`source`: the command line, the
//! environment and a file; `command_line` and `file` read two of them), `live` is what the running server asks and CONFIG changes, `page` prints the
//! table as `docs/settings.md`; `values` and `users` are the types that only settings have.

mod command_line;
mod connections;
mod file;
mod kind;
mod live;
mod load;
mod page;
mod source;
mod suggest;
mod table;
mod users;
mod values;

pub use kind::SettingKind;
pub use live::{Changes, Live, Snapshot};
pub use load::{Loaded, load, of_process};
pub use page::markdown;
pub use source::Stop;
pub use suggest::did_you_mean;
pub use table::{Change, SETTINGS, Setting, Settings, is_secret};
pub use values::{
    EvictionPolicy, LockDurability, LogFormat, LogLevel, OutputLimit, OutputLimits, ProtectedAction,
    SlowConsumer,
};
