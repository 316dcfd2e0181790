//! The commands that clients bring and run scripts with.

pub mod eval;
pub mod scripts;
