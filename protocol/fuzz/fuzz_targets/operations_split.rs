//! Any stream of operations reads the same however it is cut.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/broker/checks.rs"]
mod checks;
#[path = "../../tests/broker/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::operations_split_input(input));
