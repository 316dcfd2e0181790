//! Sockets: the only files, with `http`, that know them.

pub mod listener;
mod tcp;
pub mod worker;
