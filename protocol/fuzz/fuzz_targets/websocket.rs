//! Any stream of WebSocket frames reads as by the naive twin, however it is cut.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/websocket/checks.rs"]
mod checks;
#[path = "../../tests/websocket/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::frames_input(input));
