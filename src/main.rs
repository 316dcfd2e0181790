//! The `quartet` program.

fn main() {}
