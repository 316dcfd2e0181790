//! Quartet: a cache, a rate limiter, distributed locks and a message broker in one process.
//!
//! The modules stand from the bottom up, and each may name only those above it (a test checks that): the foundations, the
//! cores of the services, their commands, the path of a request, and the listeners.

pub mod access;
pub mod alarm;
pub mod allocator;
pub mod clock;
pub mod disk;
pub mod freeing;
pub mod glob;
pub mod lock_order;
pub mod random;
pub mod refusal;
pub mod stand_in;
pub mod sync;
pub mod version;
pub mod wait;

pub mod journal;
pub mod log_queue;
pub mod settings;

pub mod delivery;

pub mod broker;
pub mod cache;
pub mod client;
pub mod limit;
pub mod lock;
pub mod metrics;
pub mod script;
pub mod store;
pub mod stream;

pub mod admin;
pub mod command;
pub mod connection;
pub mod service;

pub mod catalog;
pub mod session;

pub mod data_directory;
pub mod descriptors;
pub mod http;
pub mod lame_duck;
pub mod load;
pub mod log_subscriber;
pub mod net;
pub mod offline;
pub mod policy_file;
pub mod reload;
pub mod server;
pub mod signals;
pub mod standard_output;
pub mod subcommands;
