//! `redis-cli` and `redis-benchmark`.
