//! The journal: nothing that was acknowledged is lost, whatever the disk does; damage is told, never passed over.

mod crash;
mod damage;
mod folder;
mod groups;
mod ledger;
mod migration;
mod parts;
mod reading;
mod service;
mod snapshots;
