//! The broker's door as clients of its protocol meet it.

mod door;
mod presence;
