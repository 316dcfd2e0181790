//! The commands that clients bring and run scripts with.

pub mod eval;
pub mod fcall;
pub mod functions;
pub mod scripts;
