//! The broker: what clients say to publish and subscribe.
//!
//! Each client gets its own replies and its messages in the order of the events.  `delivery` has the channels, their
//! subscribers and the way of a message to them.

pub mod commands;
mod service;

pub use service::SERVICE;
