//! The tests of the protocol crate that need only its public face.

mod broker;
mod checks;
mod naive;
mod rdb;
mod replies;
mod requests;
mod websocket;
