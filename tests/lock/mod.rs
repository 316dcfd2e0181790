//! Locks: the table against a plain model, its promises one by one, and the service under cuts and kills.

mod deadlocks;
mod durability;
mod fenced_register;
mod killed;
mod model;
mod promises;
mod properties;
mod table;
mod threads;
