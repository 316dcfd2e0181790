//! The cache over HTTP.
//!
//! A key is the percent-encoded part of the path behind `/cache/`; it may be any bytes but none at all.  The words that
//! stand there for something else are matched before they are decoded, so a key `stats` is at `/cache/%73tats`.
//!
//! `stored` is what a client may put in, `found` what is read, `forms` how it is handed out, `document` as JSON; `conditions` compares
//! what is there with what the client has seen, `fencing` asks whether it holds a lock; the other files are endpoints, by noun.

mod batches;
mod conditions;
mod counters;
mod database;
mod document;
mod fencing;
mod forms;
mod found;
mod keys;
mod lifetimes;
mod statistics;
mod stored;
mod values;

use crate::http::endpoint::{Context, OpenApiRouter};

/// All of the cache's endpoints.
pub fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .merge(values::endpoints())
        .merge(lifetimes::endpoints())
        .merge(counters::endpoints())
        .merge(batches::endpoints())
        .merge(keys::endpoints())
        .merge(statistics::endpoints())
}
