//! The HTTP door: the endpoints of all services behind one router, and the threads and sockets that serve it.
//!
//! `openapi` lists the endpoints and describes them; `router` and `routes` tell which one a request is for; `door` is what every request passes (`access` decides, `host` reads what
//! the request was made to, `request_id` names it, also in the log); `listener` takes connections in and deals them to
//! the threads of `thread`, where `activity` and `streams` find those that keep it waiting, by their `progress`; `flight`
//! and `bodies` bound the bytes that clients make the server hold; `health`, `metrics`, `pages` and `openapi` are the
//! door's own endpoints.

mod access;
mod activity;
mod bodies;
pub mod door;
pub mod endpoint;
mod flight;
mod health;
mod host;
pub mod listener;
mod metrics;
mod openapi;
mod pages;
mod progress;
pub mod request_id;
mod router;
mod routes;
mod rows;
mod streams;
pub mod thread;

pub use openapi::openapi;
