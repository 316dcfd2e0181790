//! Durable streams: messages that are kept, replayed and consumed, with the API of NATS' JetStream.
//!
//! A stream keeps what is published on its subjects, by whichever listener it comes.  A publisher gets its
//! acknowledgement once the disk has the message, and no consumer or reader sees a message before that.
//!
//! What is where, in the order in which a message meets it:
//!
//! | file | what it is |
//! |---|---|
//! | `sink`, `store`, `owed` | the way in: the fan-out hands a message over, which is checked and appended, for a caller that may wait for the outcome |
//! | `ingest/` | the checks: what a message's headers ask for, and whether it is stored |
//! | `shared`, `unapplied`, `settle` | a stream as threads share it: its lock, the changes that wait for the disk, and how they are applied |
//! | `state/`, `index/`, `segment/` | what the disk has: the state, what memory knows of the messages, and the stream's own files |
//! | `record/`, `numbers`, `persistence/`, `offline` | how all that outlives the server, and work on a directory that no server uses |
//! | `reading`, `getting`, `following`, `removing` | reading one message, or on from a place; removing messages |
//! | `consumer/` | one consumer, without threads and I/O: what it delivers to whom, and what is due |
//! | `consumers`, `consuming`, `pausing` | the consumers of a stream: made, changed, deleted, and told what their receivers send |
//! | `running`, `delivering`, `reply_subjects`, `leasing`, `timeouts` | consumers at work: their effects are carried out, and their deliveries are answered |
//! | `upkeep/` | what a stream does by itself: expiry, schedules, republishing, dead letters, advisories |
//! | `streams`, `hub` | the table of all streams, and what they share |
//! | `definition/`, `filter`, `message`, `header_names` | the words for all of this: definitions, filters, messages, headers |
//! | `api/`, `json/`, `requests/` | the API of NATS: its subjects, bodies and errors, and who carries requests out |
//! | `endpoints/`, `commands/` | the same over HTTP and RESP |
//! | `service/`, `describe`, `figures` | the streams as a service, and what operators see of them |

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
pub mod header_names;
mod hub;
pub mod index;
pub mod ingest;
pub mod json;
mod leasing;
pub mod message;
mod numbers;
pub mod offline;
mod owed;
mod pausing;
mod persistence;
mod reading;
pub mod record;
mod removing;
mod reply_subjects;
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
mod unapplied;
mod upkeep;

pub use describe::{ConsumerDescription, Details, StreamDescription};
pub use figures::{ConsumerFigures, Counted, StreamFigures};
pub use following::{FOLLOWERS_MAX, Follower, Hole, Portion, Seen};
pub use hub::{Introduction, Surroundings};
pub use leasing::{LeaseAnswer, LeasesAnswered};
pub use owed::OwedOutcome;
pub use persistence::{FILES_FOLDER, OPEN_FILES_MAX};
pub use reading::ReadError;
pub use removing::Removed;
pub use reply_subjects::DeliveryNumbers;
pub use service::SERVICE;
pub use shared::Stream;
pub use store::{Incoming, Outcome, Publisher, Receipt};
pub use streams::Streams;
