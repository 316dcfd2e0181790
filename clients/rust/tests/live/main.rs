//! The client against live servers: the program that the environment variable QUARTET names, or `quartet` on the path.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod limits;
mod locks;
mod lost;
mod readme;
mod relay;
mod remote;
mod servers;
