//! Durable streams: messages that are kept, replayed and consumed, with the API of NATS' JetStream.
//!
//! A stream keeps what is published on its subjects, by whichever listener it comes.  A publisher is told that its message is
//! stored once the disk has it, and nobody sees a message before that.

pub mod api;
pub mod consumer;
pub mod definition;
pub mod filter;
pub mod index;
pub mod ingest;
pub mod json;
pub mod message;
mod numbers;
pub mod record;
pub mod segment;
