//! The wire formats Quartet speaks: bytes in, values out, and back.  No sockets, clock, async or services.
#![forbid(unsafe_code)]

pub mod broker;
pub mod buffer;
pub mod limits;
pub mod rdb;
pub mod resp;
pub mod websocket;
