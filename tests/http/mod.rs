//! The HTTP door and what is behind it: in this process, and over real sockets where these matter.

mod broker;
mod cache;
mod commands;
mod console;
mod door;
mod events;
mod examples;
mod locks;
mod metrics;
mod openapi;
mod peers;
mod reference;
mod streams;
mod transcripts;
