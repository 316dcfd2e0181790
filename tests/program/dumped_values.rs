//! Payloads of RESTORE that claim to be more than they are take no memory, and those that are large take it once.

use super::large_values::{MEBIBYTE, SLACK, forget_peak, memory, resident};
use crate::support::client::{Client, text};
use crate::support::process::Server;

/// Codes of types whose values begin with a count or a length.
const COUNTED: &[u8] = &[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22, 23];

/// A type and value with a footer, from the polynomial of the checksum.
fn payload(value: &[u8]) -> Vec<u8> {
    let mut payload = [value, &10_u16.to_le_bytes()].concat();
    let sum = payload.iter().fold(0_u64, |sum, &byte| {
        (0..8).fold(sum ^ u64::from(byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { sum >> 1 }
        })
    });
    payload.extend(sum.to_le_bytes());
    payload
}

fn length(length: u64) -> Vec<u8> {
    [&[0x81][..], &length.to_be_bytes()].concat()
}

fn restore(client: &mut Client, value: &[u8]) -> String {
    text(&client.call(&[&b"RESTORE"[..], b"key", b"0", &payload(value), b"REPLACE"]))
}

/// The payload of a key.
pub(super) fn dump(client: &mut Client, key: &str) -> Vec<u8> {
    match client.call(&["DUMP", key]) {
        redis_protocol::resp3::types::OwnedFrame::BlobString { data, .. } => data,
        other => panic!("DUMP answers a string, not {other:?}"),
    }
}

#[test]
fn claims_take_nothing() {
    const FILLED: usize = 1 << 16;
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET key value"), "OK");
    let start = resident(&server);
    forget_peak(&server);
    let filling = vec![0x00; FILLED];
    for claim in [1 << 32, 1 << 40, u64::MAX] {
        for &code in COUNTED {
            let answer = restore(&mut client, &[&[code][..], &length(claim), &filling].concat());
            assert_eq!(answer, "-ERR Bad data format", "{claim} of type {code}");
        }
        // What is compressed is at most 88 times as long, so the claim is refused before it is decompressed.
        let compressed = [vec![0, 0xc3], length(FILLED as u64), length(claim), filling.clone()].concat();
        let answer = restore(&mut client, &compressed);
        assert!(
            ["-ERR Bad data format", "-ERR string exceeds maximum allowed size (max-value-size)"]
                .contains(&&*answer)
        );
    }
    for nested in [10_u8, 11, 16, 17, 20] {
        let claims = [&u32::MAX.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &filling].concat();
        let size = claims.len() as u64;
        let answer = restore(&mut client, &[&[nested][..], &length(size), &claims].concat());
        assert_eq!(answer, "-ERR Bad data format", "type {nested}");
    }
    let peak = memory(&server, "VmHWM:");
    assert!(peak <= start + 8 * MEBIBYTE, "{peak} bytes at most, from {start}");
    assert_eq!(client.ask("GET key"), "value");
}

#[test]
fn what_is_compressed_is_no_longer_than_values_may_be() {
    let server = Server::quartet(&["--threads", "1", "--max-value-size", "1mb"]);
    let mut client = Client::connect(server.address());
    // A literal byte, and then 264 repetitions of it for every three bytes.
    let bomb = |runs: usize| [vec![0, b'a'], b"\xe0\xff\x00".repeat(runs)].concat();
    let compressed = |runs: usize| {
        let (bytes, size) = (bomb(runs), 1 + 264 * runs as u64);
        [vec![0, 0xc3], length(bytes.len() as u64), length(size), bytes].concat()
    };
    assert_eq!(restore(&mut client, &compressed(3_900)), "OK");
    assert_eq!(client.ask("STRLEN key"), "1029601");
    let start = resident(&server);
    forget_peak(&server);
    let answer = restore(&mut client, &compressed(300_000));
    assert_eq!(answer, "-ERR string exceeds maximum allowed size (max-value-size)");
    let peak = memory(&server, "VmHWM:");
    assert!(peak <= start + 8 * MEBIBYTE, "{peak} bytes at most, from {start}");
    assert_eq!(client.ask("STRLEN key"), "1029601");
}

#[test]
fn large_ones_are_held_once() {
    const LARGE: usize = 64 * MEBIBYTE;
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask(&format!("SETRANGE key {} x", LARGE - 1)), LARGE.to_string());
    let start = resident(&server);
    forget_peak(&server);
    let data = dump(&mut client, "key");
    let peak = memory(&server, "VmHWM:");
    // The value, which was a hole, and its payload.
    assert!(peak <= start + 2 * LARGE + SLACK, "DUMP: {peak} bytes at most, from {start}");
    let start = resident(&server);
    forget_peak(&server);
    let restored = client.call(&[&b"RESTORE"[..], b"copy", b"0", &data]);
    assert_eq!(text(&restored), "OK");
    let peak = memory(&server, "VmHWM:");
    // The request, and the value made of it.
    assert!(peak <= start + 2 * LARGE + SLACK, "RESTORE: {peak} bytes at most, from {start}");
    assert_eq!(client.ask("STRLEN copy"), LARGE.to_string());
}
