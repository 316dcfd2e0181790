//! The protocol of NATS clients: subjects, what a client sends, what it receives, and header blocks.
//!
//! Everything here turns bytes into values or values into bytes.  It knows neither permissions nor
//! subscriptions nor the effects of an operation.

pub mod headers;
pub mod operation;
pub mod parser;
pub mod subject;
pub mod write;

mod words;

pub use operation::{Malformation, Operation, Publication};
pub use parser::{Limits, Parser, Step};
