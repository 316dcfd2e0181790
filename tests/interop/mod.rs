//! Real clients and tools, each in its own language with its default settings, against a server process.
//!
//! What a client program checks is written in that program; a test here starts a server and the program, and looks
//! at how it ended and what it printed.

mod tools;
