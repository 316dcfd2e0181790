//! The Redis protocol: requests are parsed in place, replies are written for RESP2 or RESP3.

pub mod arguments;
pub mod number;
pub mod reply;
pub mod request;

mod batch;
mod inline;

pub use arguments::{Arguments, OwnedArguments, Span, kept_of};
pub use batch::Batch;
pub use inline::words_of;
pub use reply::{Output, Version};
pub use request::{Outcome, Parser, Progress, ProtocolError, RequestLimits};
