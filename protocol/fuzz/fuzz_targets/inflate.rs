//! Any compressed WebSocket message is decompressed or refused, and never to more than its limit.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/websocket/checks.rs"]
mod checks;
#[path = "../../tests/websocket/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::inflate(input, 64 * 1024));
