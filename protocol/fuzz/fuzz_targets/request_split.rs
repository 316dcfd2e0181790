//! Any stream of requests reads the same however it is cut.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/checks.rs"]
mod checks;
#[path = "../../tests/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::request_split_input(input));
