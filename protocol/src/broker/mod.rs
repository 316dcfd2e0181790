//! The protocol of NATS clients: subjects, what a client sends, what it receives, and header blocks.
//!
//! Everything here turns bytes into values or values into bytes.  Who may do what, what a subscription is and what an
//! operation causes is decided above.

pub mod headers;
pub mod operation;
pub mod parser;
pub mod subject;
pub mod write;

mod words;

pub use operation::{Malformation, Operation, Publication};
pub use parser::{Limits, Parser, Step};
