//! The HTTP door: the endpoints of all services behind one router, and the threads and sockets that serve it.
//!
//! | part | files |
//! |---|---|
//! | connections | `listener` accepts them, `thread` serves them; `activity`, `streams` and `progress` find slow clients, `flight` and `bodies` bound the bytes in flight |
//! | every request | `door`: `access`, `credentials` and `host` admit it, `request_id` names it, also in the log |
//! | endpoints | `openapi` lists and describes them, `router` and `routes` find the one of a request; `rows` runs commands |
//! | the door's own endpoints | `health`, `metrics`, `pages`, `openapi`, `websocket`, `figures`, `console` |
//! | parts of endpoints of all services | `endpoint` |

mod access;
mod activity;
mod bodies;
mod console;
mod credentials;
pub mod door;
pub mod endpoint;
pub mod figures;
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
mod ticket;
mod websocket;

pub use openapi::openapi;
