//! The broker's door as clients of its protocol meet it.

mod bursts;
mod client_commands;
mod conversation;
mod door;
mod hostile;
mod lame_duck;
mod log_lines;
mod many_subscriptions;
mod model;
mod odd_clients;
mod presence;
mod random;
mod reload;
mod simulation;
mod sinks;
mod slowing;
mod topic_space;
mod typed;
