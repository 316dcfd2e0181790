//! Durable streams: messages that are kept, replayed and consumed, with the API of NATS' JetStream.
//!
//! A stream keeps what is published on its subjects, by whichever listener it comes.  A publisher gets its
//! acknowledgement once the disk has the message, and no consumer or reader sees a message before that.

pub mod api;
pub mod commands;
pub mod consumer;
mod consumers;
mod consuming;
pub mod definition;
mod delivering;
mod describe;
pub(crate) mod endpoints;
mod figures;
pub mod filter;
mod following;
mod getting;
mod hub;
pub mod index;
pub mod ingest;
pub mod json;
mod leasing;
pub mod message;
mod numbers;
pub mod offline;
mod pausing;
mod pending;
mod persistence;
mod reading;
pub mod record;
mod removing;
mod requests;
mod running;
pub mod segment;
mod service;
mod settle;
mod shared;
mod sink;
mod state;
mod store;
mod streams;
mod timeouts;
mod upkeep;

pub use describe::{ConsumerDescription, Details, StreamDescription};
pub use figures::{ConsumerFigures, Counted, StreamFigures};
pub use following::{FOLLOWERS_MAX, Follower, Hole, Portion, Seen};
pub use hub::Surroundings;
pub use leasing::{Lease, LeasesSettled, Settlement};
pub use persistence::{FILES_FOLDER, OPEN_FILES_MAX};
pub use reading::ReadError;
pub use removing::Removed;
pub use service::SERVICE;
pub use shared::Stream;
pub use store::{Incoming, Outcome, Publisher, Receipt};
pub use streams::Streams;
