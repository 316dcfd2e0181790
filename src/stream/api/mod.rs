//! The API of streams: requests on subjects below `$JS.API.`, their bodies, replies and errors.
//!
//! It is wire only: what a request asks for is carried out elsewhere.

pub mod bodies;
pub mod direct;
pub mod error;
pub mod get;
pub mod pull;
pub mod reply;
pub mod request;
pub mod subjects;

pub use request::{API_LEVEL, Asked, Refusal, Request};

#[cfg(test)]
mod tests;
