//! The protocol of NATS clients.

mod operations;
mod writing;
