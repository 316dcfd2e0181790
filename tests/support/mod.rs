//! Support that the suites share.  No test of the server lives here.

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod delivered;
pub(crate) mod feeds;
pub(crate) mod held_port;
pub(crate) mod http;
pub(crate) mod in_process;
pub(crate) mod json_socket;
pub(crate) mod kept_locks;
pub(crate) mod kept_streams;
pub(crate) mod nginx;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod segments;
pub(crate) mod simulated_disk;
pub(crate) mod simulated_server;
pub(crate) mod slow_server;
#[allow(dead_code, reason = "the eviction benchmark uses the rest of it")]
pub(crate) mod traces;
pub(crate) mod websocket;
