//! The HTTP door and what is behind it, over real sockets.

mod cache;
mod door;
mod events;
mod locks;
mod metrics;
mod openapi;
mod peers;
