//! Scripts, libraries of functions, and texts for the libraries that scripts have, made of random bytes.
//!
//! The folder `fuzz` has the same checks for a fuzzer.  `QUARTET_FUZZ_ROUNDS` is how many inputs each test tries instead of a few.

mod checks;
mod grammar;

use quartet::random::Random;

/// Inputs of each test.
const ROUNDS: usize = 300;

/// Tries random inputs, which are made of the pieces and of random bytes.
fn fuzz(check: fn(&[u8]), pieces: &[&[u8]]) {
    let rounds = std::env::var("QUARTET_FUZZ_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("it is a number"));
    for seed in 0..rounds as u64 {
        let mut random = Random::with_seed(seed);
        let mut input = Vec::new();
        for _ in 0..random.below(if seed % 8 == 0 { 200 } else { 30 }) {
            match random.below(4) {
                0 => input.push(random.draw() as u8),
                _ if pieces.is_empty() => input.push(random.draw() as u8),
                _ => input.extend_from_slice(pieces[random.below(pieces.len())]),
            }
        }
        check(&input);
    }
}

#[test]
fn scripts_end_with_one_reply_and_leave_nothing_behind() {
    fuzz(checks::script, &[]);
}

#[test]
fn libraries_are_loaded_or_refused() {
    fuzz(checks::library, &[]);
}

#[test]
fn any_text_is_read_as_json_or_refused() {
    let pieces =
        "{ } [ ] , : \" \\ \\u00 \\ud83d 1 -1 0.5 1e5 e99 true false null NaN \"a\" \"b\": {\"a\": [1,"
            .split(' ');
    fuzz(checks::cjson, &pieces.map(str::as_bytes).collect::<Vec<_>>());
}

#[test]
fn any_bytes_are_read_as_messagepack_or_refused() {
    let pieces: [&[u8]; 12] = [
        b"\x91",
        b"\x92\x01",
        b"\x81\xa1a",
        b"\xc0",
        b"\xc3",
        b"\xca\x3f\x80\0\0",
        b"\xcb\x3f\xf1\x99\x99\x99\x99\x99\x9a",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd3\x80\0\0\0\0\0\0\0",
        b"\xdc\0\x02",
        b"\xde\0\x01",
        b"\xd9\x02ab",
    ];
    fuzz(checks::cmsgpack, &pieces);
}

#[test]
fn any_format_of_a_structure_is_taken_or_refused() {
    let pieces: [&[u8]; 20] = [
        b">",
        b"<",
        b"!",
        b"!8",
        b"b",
        b"B",
        b"h",
        b"H",
        b"l",
        b"L",
        b"i3",
        b"I8",
        b"f",
        b"d",
        b"s",
        b"c3",
        b"c0",
        b"x",
        b"\n",
        b"\0\xff\x01\x02",
    ];
    fuzz(checks::structure, &pieces);
}
