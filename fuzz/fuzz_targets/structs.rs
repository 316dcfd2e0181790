//! Any format of a packed structure, on its first line, is taken or refused.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/script/fuzzing/checks.rs"]
mod checks;
#[path = "../../tests/script/fuzzing/grammar.rs"]
mod grammar;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::structure(input));
