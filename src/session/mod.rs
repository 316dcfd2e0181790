//! One client's conversation: bytes in, bytes out, no sockets.

pub mod resp;
pub mod unsent;
