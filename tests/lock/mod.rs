//! Locks: the table against a plain model, its promises one by one, and the service under cuts and kills.

mod crowd;
mod deadlocks;
mod durability;
mod fenced_register;
mod indivisible;
mod killed;
mod memory;
mod model;
mod promises;
mod properties;
mod retries;
mod semaphores;
mod simulation;
mod slow_disk;
mod snapshots;
mod table;
mod threads;
