//! The HTTP door and what is behind it, over real sockets.

mod door;
mod locks;
