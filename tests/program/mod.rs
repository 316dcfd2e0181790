//! The program as its operator meets it, and its treatment of connections that misbehave.

mod completions;
mod connections;
mod data_directory;
mod descriptors;
mod dumped_values;
mod former_folders;
mod hangs;
mod health;
mod held_up;
mod held_up_http;
mod idle_connections;
mod large_objects;
mod large_values;
mod log;
mod overlapping;
mod passwords;
mod pipeline;
mod private;
mod signals;
mod slow_commands;
mod slow_reader;
mod start;
mod stop;
mod streams;
mod subcommands;
