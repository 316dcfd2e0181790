//! The cache over HTTP.
//!
//! A key is the percent-encoded part of the path behind `/cache/`; it may be any bytes but none at all.  The words that
//! stand there for something else are matched before they are decoded, so a key `stats` is at `/cache/%73tats`.
//!
//! `input_value` is a value that a client writes, `output_value` one that it reads; `representations` chooses how a value is sent,
//! `document` writes JSON.
//! `conditions` compares entity tags, `fencing` asks whether the client holds a lock.  The other files are endpoints, by noun.

mod batches;
mod conditions;
mod counters;
mod database;
mod document;
mod fencing;
mod input_value;
mod keys;
mod lifetimes;
mod output_value;
mod representations;
mod statistics;
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
