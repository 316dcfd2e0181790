//! The protocol of NATS clients: subjects, what a client sends, what it receives, and header blocks.
//!
//! Everything here turns bytes into values or values into bytes.  It does not know who may do what, what a subscription is or
//! what an operation causes.

pub mod headers;
pub mod operation;
pub mod parser;
pub mod subject;
pub mod write;

mod words;

pub use operation::{Malformation, Operation, Publication};
pub use parser::{Limits, Parser, Step};
