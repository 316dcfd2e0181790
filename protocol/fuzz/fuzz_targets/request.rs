//! Any stream of requests reads as by the naive twin.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/checks.rs"]
mod checks;
#[path = "../../tests/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| checks::request(stream));
