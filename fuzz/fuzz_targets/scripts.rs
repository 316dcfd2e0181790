//! Any script is run or refused with one reply, and leaves nothing behind for the next one.
#![no_main]
#![allow(dead_code, reason = "the checks serve other targets and tests too")]

#[path = "../../tests/script/fuzzing/checks.rs"]
mod checks;
#[path = "../../tests/script/fuzzing/grammar.rs"]
mod grammar;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::script(input));
