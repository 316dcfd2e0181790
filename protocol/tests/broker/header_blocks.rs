//! Header blocks, read and written.

use proptest::collection::vec;
use proptest::prelude::*;
use quartet_protocol::broker::headers::{HeaderBlock, Headers, InvalidHeader};

/// The status, the description and the pairs of a block.
fn check(block: &str, status: Option<u16>, description: &str, pairs: &[(&str, &str)]) {
    let headers = Headers::new(block.as_bytes()).unwrap_or_else(|| panic!("{block:?} is a block"));
    assert_eq!(headers.status(), status, "{block:?}");
    assert_eq!(headers.description(), description.as_bytes(), "{block:?}");
    let found: Vec<_> = headers.iter().collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    assert_eq!(found, pairs, "{block:?}");
}

#[test]
fn blocks_are_read() {
    check("NATS/1.0\r\n\r\n", None, "", &[]);
    check("NATS/1.0\r\nA: b\r\n\r\n", None, "", &[("A", "b")]);
    check("NATS/1.0\r\nA:b\r\na:  c \r\nA: d\r\n\r\n", None, "", &[("A", "b"), ("a", "c"), ("A", "d")]);
    check("NATS/1.0 503\r\n\r\n", Some(503), "", &[]);
    check("NATS/1.0 100 Idle Heartbeat\r\nX: 1\r\n\r\n", Some(100), "Idle Heartbeat", &[("X", "1")]);
    check("NATS/1.0   404   No Messages  \r\n\r\n", Some(404), "No Messages", &[]);
    check("NATS/1.0 404No\r\n\r\n", Some(404), "No", &[]);
    check("NATS/1.0 OK\r\n\r\n", None, "", &[]);
    check(
        "NATS/1.0\r\nNats-Link: a:b: c\r\nempty:\r\n\r\n",
        None,
        "",
        &[("Nats-Link", "a:b: c"), ("empty", "")],
    );
}

#[test]
fn what_is_no_pair_is_skipped() {
    check("NATS/1.0\nA: b\n\n", None, "", &[("A", "b")]);
    check("NATS/1.0\r\nno pair\r\n: no name\r\nA: b", None, "", &[("A", "b")]);
    check("NATS/1.0", None, "", &[]);
}

#[test]
fn what_is_no_block_is_none() {
    for block in [
        "",
        "NATS",
        "NATS/2.0\r\n\r\n",
        "NATS/1.00\r\n",
        "nats/1.0\r\n\r\n",
        "\r\nNATS/1.0\r\n\r\n",
        "A: b\r\n\r\n",
    ] {
        assert_eq!(Headers::new(block.as_bytes()), None, "{block:?}");
    }
}

#[test]
fn names_are_found_with_their_case() {
    let headers = Headers::new(b"NATS/1.0\r\nA: 1\r\na: 2\r\nA: 3\r\n\r\n").expect("a block");
    assert_eq!(headers.get(b"A"), Some(&b"1"[..]));
    assert_eq!(headers.get(b"a"), Some(&b"2"[..]));
    assert_eq!(headers.get(b"b"), None);
}

#[test]
fn a_pair_cannot_break_out_of_its_line() {
    let mut block = HeaderBlock::new();
    assert!(block.is_empty());
    for name in ["", "a b", "a:", "a\r", "\n", "a\x7f", "é"] {
        assert_eq!(block.push(name.as_bytes(), b"value"), Err(InvalidHeader::Name), "{name:?}");
    }
    for value in ["a\r\nb: c", "\n", "\r"] {
        assert_eq!(block.push(b"name", value.as_bytes()), Err(InvalidHeader::Value), "{value:?}");
    }
    assert!(block.is_empty());
    block.push(b"name", "é: value".as_bytes()).expect("any text on one line is a value");
    assert!(!block.is_empty());
    assert_eq!(block.finish(), "NATS/1.0\r\nname: é: value\r\n\r\n".as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(pairs in vec(("[!-9;-~]{1,8}", "([!-~]([ -~]{0,8}[!-~])?)?"), 0..6)) {
        let mut block = HeaderBlock::new();
        for (name, value) in &pairs {
            block.push(name.as_bytes(), value.as_bytes()).expect("the pair is valid");
        }
        let block = block.finish();
        let headers = Headers::new(&block).expect("a block");
        let read: Vec<_> = headers.iter().collect();
        let written: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn any_bytes_can_be_looked_at(block in vec(any::<u8>(), 0..60)) {
        let block = [b"NATS/1.0", &block[..]].concat();
        if let Some(headers) = Headers::new(&block) {
            let _ = (headers.status(), headers.description(), headers.iter().count());
        }
    }
}
