//! The cache: what clients say to the store, over RESP and over HTTP.

pub mod commands;
pub mod endpoints;
mod service;

pub use service::SERVICE;
