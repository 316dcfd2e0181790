//! The HTTP door: the endpoints of all services behind one router, and the threads and sockets that serve it.
//!
//! `router` puts the endpoints together; `door` is what every request passes (`access` decides, `host` reads what
//! the request was made to, `request_id` names it, also in the log); `listener` takes connections in and deals them to the threads of `thread`, where `activity` finds those that
//! keep it waiting; `health`, `metrics`, `pages` and `openapi` are the door's own endpoints.

mod access;
mod activity;
mod door;
mod health;
mod host;
pub mod listener;
mod metrics;
mod openapi;
mod pages;
pub mod request_id;
mod router;
pub mod thread;

pub use openapi::openapi;
