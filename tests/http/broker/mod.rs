//! The broker over HTTP, where its responses stay open or wait.

mod cuts;
mod messages;
mod monitoring;
mod presence;
mod streams;
