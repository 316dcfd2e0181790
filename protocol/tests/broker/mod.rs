//! The protocol of NATS clients.

mod checks;
mod header_blocks;
mod naive;
mod operations;
mod peer;
mod subjects;
mod writing;
