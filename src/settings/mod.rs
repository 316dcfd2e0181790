//! The settings: one table, changed by CONFIG SET.
//!
//! `table` lists them, `kind` says what a value may be, `live` is what the
//! running server asks and CONFIG changes, `page` prints the table as `docs/settings.md`.

mod kind;
mod live;
mod page;
mod table;
mod values;

pub use kind::Kind;
pub use live::Live;
pub use page::markdown;
pub use table::{Change, SETTINGS, Setting, Settings};
pub use values::{EvictionPolicy, LogFormat, LogLevel, OutputClass, OutputLimit, OutputLimits};
