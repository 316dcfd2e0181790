//! The broker over HTTP, where its responses stay open or wait.

mod cuts;
mod feeds;
mod messages;
mod monitoring;
mod monitoring_peer;
mod presence;
