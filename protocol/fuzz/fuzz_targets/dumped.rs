//! Any payload of RESTORE is read or refused.  A value that is read is no larger than its payload allows, and its own payload is read again.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/rdb/checks.rs"]
mod checks;
#[path = "../../tests/rdb/naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::input(input));
