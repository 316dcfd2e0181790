//! Any stream of operations reads as by the naive twin.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/broker/checks.rs"]
mod checks;
#[path = "../../tests/broker/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| checks::operations(stream));
