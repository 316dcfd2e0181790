//! Payloads that are damaged or lie, with footers that are right.

use proptest::collection::vec;
use proptest::prelude::*;
use quartet_protocol::rdb::Fault;

use super::naive::{self, DAMAGED};
use super::{LENGTH_MAX, checks, count, read_pieces};

/// A value in each form, of which no proper start is a value and that has no byte which could be any other.
fn of_each_type() -> Vec<(u8, Vec<u8>)> {
    let texts: [&[u8]; 6] = [b"one", b"-7", b"300", b"70000", b"5000000000", &[b'x'; 70]];
    let scores: [&[u8]; 4] = [b"one", b"1.5", b"two", b"-3"];
    let (plain, packed) = (|text: &[u8]| naive::string(text, false), |text: &[u8]| naive::string(text, true));
    let strings = [count(6, 6), texts.iter().flat_map(|text| plain(text)).collect()].concat();
    let expiring: Vec<&[u8]> = vec![b"field", b"value", b"0", b"other", b"value", b"1700000000000"];
    let earliest = 1_700_000_000_000_u64.to_le_bytes().to_vec();
    let timed = [count(1, 6), naive::length(1, 64), plain(b"field"), plain(b"value")].concat();
    vec![
        (0, plain(b"some text")),
        (0, packed(&b"abc".repeat(20))),
        (0, vec![0xc2, 1, 2, 3, 4]),
        (1, strings.clone()),
        (2, strings.clone()),
        (3, [count(2, 6), plain(b"one"), b"\x031.5".to_vec(), plain(b"two"), vec![255]].concat()),
        (4, [count(3, 6), strings[1..].to_vec()].concat()),
        (5, [count(1, 6), plain(b"one"), 1.5_f64.to_le_bytes().to_vec()].concat()),
        (9, plain(&naive::zipmap(&[(b"field", b"value"), (b"other", &[b'x'; 300])], 2))),
        (10, plain(&naive::ziplist(&texts))),
        (11, plain(&naive::intset(&[-3, 5, 70_000]))),
        (12, plain(&naive::ziplist(&scores))),
        (13, packed(&naive::ziplist(&texts))),
        (14, [count(1, 6), plain(&naive::ziplist(&texts))].concat()),
        (16, plain(&naive::listpack(&texts))),
        (17, plain(&naive::listpack(&scores))),
        (
            18,
            [count(2, 6), count(2, 6), plain(&naive::listpack(&texts)), count(1, 6), plain(b"alone")]
                .concat(),
        ),
        (20, packed(&naive::listpack(&texts))),
        (22, timed.clone()),
        (23, plain(&naive::listpack(&expiring))),
        (24, [earliest.clone(), timed].concat()),
        (25, [earliest, plain(&naive::listpack(&expiring))].concat()),
    ]
}

#[test]
fn whole_values_are_read_and_cut_or_longer_ones_are_not() {
    for (code, bytes) in of_each_type() {
        assert!(read_pieces(12, code, std::slice::from_ref(&bytes)).is_ok(), "type {code}");
        for cut in 0..bytes.len() {
            assert_eq!(read_pieces(12, code, &[bytes[..cut].to_vec()]), DAMAGED, "type {code} cut at {cut}");
        }
        for byte in [0, 1, 0xff] {
            assert_eq!(
                read_pieces(12, code, &[bytes.clone(), vec![byte]]),
                DAMAGED,
                "type {code} and {byte}"
            );
        }
    }
}

#[test]
fn a_wrong_footer_is_refused() {
    for (code, bytes) in of_each_type() {
        let payload = naive::payload(12, &[vec![code], bytes].concat());
        assert!(checks::read(&payload, LENGTH_MAX).is_ok());
        for place in 0..payload.len() {
            assert_eq!(checks::read(&payload[..place], LENGTH_MAX), Err(Fault::Footer), "cut at {place}");
            for bit in 0..8 {
                let mut flipped = payload.clone();
                flipped[place] ^= 1 << bit;
                assert_eq!(checks::read(&flipped, LENGTH_MAX), Err(Fault::Footer), "bit {bit} of {place}");
            }
        }
    }
}

#[test]
fn versions_of_the_future_are_refused() {
    for (version, is_known) in
        [(0, true), (10, true), (14, true), (15, false), (79, false), (80, true), (81, false)]
    {
        let read = checks::read(&naive::payload(version, b"\0\x01a"), LENGTH_MAX);
        assert_eq!(read.is_ok(), is_known, "{version}");
        assert!(is_known || read == Err(Fault::Footer), "{version}");
    }
}

#[test]
fn flipped_bits_are_met_with_a_refusal_or_another_value() {
    for (code, bytes) in of_each_type() {
        let whole = [vec![code], bytes].concat();
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[place] ^= 1 << bit;
                checks::value(12, &flipped, LENGTH_MAX);
            }
        }
    }
}

#[test]
fn claims_beyond_the_payload_are_refused() {
    let claims = [1 << 20, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 40, 1 << 63, u64::MAX];
    let text = naive::string(b"text", false);
    for claim in claims.map(|claim| naive::length(claim, 64)) {
        for code in [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22, 23] {
            assert_eq!(read_pieces(12, code, &[claim.clone(), text.clone()]), DAMAGED, "type {code}");
        }
        for code in [24, 25] {
            assert_eq!(
                read_pieces(12, code, &[vec![0; 8], claim.clone(), text.clone()]),
                DAMAGED,
                "type {code}"
            );
        }
        // The length of the compressed bytes, and that of the string.
        let (three, compressed) = (count(3, 6), b"\0a\x20".to_vec());
        assert_eq!(
            read_pieces(12, 0, &[vec![0xc3], claim.clone(), three.clone(), compressed.clone()]),
            DAMAGED
        );
        let read = read_pieces(12, 0, &[vec![0xc3], three, claim, compressed]);
        assert!(matches!(read, Err(Fault::Format | Fault::TooLong)), "{read:?}");
    }
}

#[test]
fn heads_of_nested_encodings_are_held_to_their_word() {
    let texts: [&[u8]; 3] = [b"one", b"two", b"3"];
    let forms: [(u8, Vec<u8>, usize); 4] = [
        (20, naive::listpack(&texts), 6),
        (10, naive::ziplist(&texts), 10),
        (11, naive::intset(&[1, 2, 3]), 8),
        (9, naive::zipmap(&[(b"a", b"b")], 0), 1),
    ];
    for (code, bytes, head) in forms {
        for place in 0..head {
            for byte in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[place] = byte;
                // A zipmap may say that it has many fields, without a number.
                let is_right = byte == bytes[place] || code == 9 && byte >= 254;
                let read = read_pieces(12, code, &[naive::string(&changed, false)]);
                assert_eq!(read.is_ok(), is_right, "type {code}: {byte} at {place}");
            }
        }
    }
}

#[test]
fn what_is_no_value_is_refused() {
    let string = |bytes: &[u8]| naive::string(bytes, false);
    let nan = f64::NAN.to_le_bytes().to_vec();
    let cases: Vec<(&str, u8, Vec<Vec<u8>>)> = vec![
        ("a list without elements", 1, vec![count(0, 6)]),
        ("a set without members", 2, vec![count(0, 6)]),
        ("a sorted set without members", 5, vec![count(0, 6)]),
        ("a hash without fields", 4, vec![count(0, 6)]),
        ("a list of empty nodes", 14, vec![count(1, 6), string(&naive::ziplist(&[]))]),
        ("a list of empty nodes", 18, vec![count(1, 6), count(2, 6), string(&naive::listpack(&[]))]),
        ("an empty listpack", 16, vec![string(&naive::listpack(&[]))]),
        ("an empty ziplist", 13, vec![string(&naive::ziplist(&[]))]),
        ("an empty zipmap", 9, vec![string(&naive::zipmap(&[], 0))]),
        ("an empty set of integers", 11, vec![string(&naive::intset(&[]))]),
        ("a field without a value", 16, vec![string(&naive::listpack(&[b"a", b"b", b"c"]))]),
        ("a member without a score", 12, vec![string(&naive::ziplist(&[b"a"]))]),
        ("a score that is no number", 5, vec![count(1, 6), string(b"a"), nan]),
        ("an old score that is no number", 3, vec![count(1, 6), string(b"a"), vec![253]]),
        ("a score's text that is no number", 17, vec![string(&naive::listpack(&[b"a", b"nan"]))]),
        ("a score's text that is a word", 12, vec![string(&naive::ziplist(&[b"a", b"one"]))]),
        ("integers out of order", 11, vec![string(&naive::intset(&[2, 1]))]),
        ("integers that come twice", 11, vec![string(&naive::intset(&[1, 1]))]),
        ("a node of an unknown kind", 18, vec![count(1, 6), count(3, 6), string(b"a")]),
        ("a time that is no number", 23, vec![string(&naive::listpack(&[b"a", b"b", b"soon"]))]),
        ("a time before 1970", 23, vec![string(&naive::listpack(&[b"a", b"b", b"-5"]))]),
        (
            "a time after all time",
            24,
            vec![vec![0xff; 8], count(1, 6), count(2, 6), string(b"a"), string(b"b")],
        ),
        ("a type that there is not", 8, vec![string(b"a")]),
        ("an encoding that there is not", 0, vec![vec![0xc4, 0]]),
        ("a length that there is not", 0, vec![vec![0x82, 0]]),
    ];
    for (what, code, pieces) in cases {
        assert_eq!(read_pieces(12, code, &pieces), DAMAGED, "{what}");
    }
    for code in [15, 19, 21] {
        assert_eq!(read_pieces(12, code, &[count(1, 6)]), Err(Fault::Foreign("a stream")));
    }
    for code in [6, 7] {
        assert_eq!(read_pieces(12, code, &[count(1, 6)]), Err(Fault::Foreign("a module's value")));
    }
}

#[test]
fn no_string_is_longer_than_the_limit() {
    let forms = |length: usize| {
        let bytes = vec![b'a'; length];
        let listpack = naive::listpack(&[&bytes[..length - 9]]);
        [
            (0, naive::string(&bytes, false)),
            (0, naive::string(&bytes, true)),
            (20, naive::string(&listpack, true)),
        ]
    };
    for (code, bytes) in forms(60) {
        let payload = naive::payload(12, &[vec![code], bytes].concat());
        assert!(checks::read(&payload, 60).is_ok(), "type {code}");
        assert_eq!(checks::read(&payload, 59), Err(Fault::TooLong), "type {code}");
    }
}

proptest! {
    /// The same as the fuzz target `dumped`, from inputs that come far.
    #[test]
    fn fuzz_inputs_hold(
        which in any::<prop::sample::Index>(), code in 0_u8..26, own_type: bool, version in prop_oneof![0_u8..15, Just(80)],
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), more in vec(any::<u8>(), 0..20),
    ) {
        let types = of_each_type();
        let (own_code, mut bytes) = which.get(&types).clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let input = [vec![version, if own_type { own_code } else { code }], bytes, more].concat();
        checks::input(&input);
        checks::input(&naive::payload(u16::from(version), &input[1..]));
    }

    #[test]
    fn any_bytes_hold(input in vec(any::<u8>(), 0..100)) {
        checks::input(&input);
    }
}
