//! The broker: publishing and subscribing.
//!
//! Each client gets its replies and messages in the order of the events.  The channels and their subscribers are in
//! [`delivery`](crate::delivery), which carries the messages of all services.

pub mod announcement;
pub mod authentication;
pub mod commands;
pub mod connections;
pub(crate) mod endpoints;
pub mod header_values;
pub mod monitoring;
mod service;
pub mod subjects;
pub mod user_info;

pub use service::SERVICE;
