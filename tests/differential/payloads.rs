//! Values that go between Quartet and real servers as payloads of DUMP, in every encoding that those have.

use quartet::random::Random;
use redis_protocol::resp3::types::OwnedFrame;

use super::peer::PeerServer;
use crate::support::client::{Client, text};
use crate::support::process::Server;
use crate::transcripts::format::Peer;

/// Settings of a server, and so encodings of what it then stores.
const SETTINGS: &[&[&str]] = &[
    &[],
    &[
        "hash-max-listpack-entries 0",
        "list-max-listpack-size 2",
        "set-max-intset-entries 0",
        "zset-max-listpack-entries 0",
    ],
    &[
        "hash-max-listpack-value 100000",
        "list-max-listpack-size -5",
        "zset-max-listpack-value 100000",
        "rdbcompression no",
    ],
];

/// How a value of a type is made of parts, and how all of it is read.
struct Type {
    name: &'static str,
    /// The command that adds parts, and how many arguments a part is.
    add: &'static str,
    part: usize,
    /// What comes between the key and each part.
    score: bool,
    read: &'static [&'static str],
    /// Whether the parts have an order.
    ordered: bool,
}

const TYPES: &[Type] = &[
    Type { name: "string", add: "SET", part: 1, score: false, read: &["GET", "key"], ordered: true },
    Type { name: "hash", add: "HSET", part: 2, score: false, read: &["HGETALL", "key"], ordered: false },
    Type {
        name: "list",
        add: "RPUSH",
        part: 1,
        score: false,
        read: &["LRANGE", "key", "0", "-1"],
        ordered: true,
    },
    Type { name: "set", add: "SADD", part: 1, score: false, read: &["SMEMBERS", "key"], ordered: false },
    Type {
        name: "zset",
        add: "ZADD",
        part: 2,
        score: true,
        read: &["ZRANGE", "key", "0", "-1", "WITHSCORES"],
        ordered: true,
    },
];

/// Texts around which encodings change: numbers of all widths, strings of all heads, and what can be compressed.
fn texts(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    const NUMBERS: &[i64] = &[
        0, 12, 13, 127, 128, -1, -128, -129, 4095, 4096, -4096, -4097, 32_767, 32_768, 8_388_607, 8_388_608,
    ];
    const LENGTHS: &[usize] =
        &[0, 1, 20, 21, 63, 64, 253, 254, 4095, 4096, 16_376, 16_377, 16_378, 16_379, 20_000];
    let mut texts: Vec<Vec<u8>> = NUMBERS.iter().map(|number| number.to_string().into_bytes()).collect();
    texts.extend(
        [i64::from(i32::MAX), 1 << 31, i64::MAX, i64::MIN].map(|number| number.to_string().into_bytes()),
    );
    texts.extend(
        [&b"007"[..], b"-0", b"+1", b"1.5", b"99999999999999999999", b"\x00\xff\r\n"].map(<[u8]>::to_vec),
    );
    texts.extend(LENGTHS.iter().map(|&length| vec![b'a' + (length % 26) as u8; length]));
    texts.extend(LENGTHS.iter().map(|&length| (0..length).map(|_| random.draw() as u8).collect()));
    texts.extend((0..count).map(|number| format!("member:{number}").into_bytes()));
    texts
}

/// The values of a type, as the arguments that add their parts.
fn values(kind: &Type, random: &mut Random) -> Vec<Vec<Vec<u8>>> {
    // Redis 7.0 replies scores with seventeen digits, so these are numbers that do not show it.
    let scores = ["1", "-2", "0.5", "inf", "-inf", "-1024.25", "3.0000000000000004", "17"];
    let arguments = |texts: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let parts = texts.iter().enumerate();
        parts
            .flat_map(|(number, text)| match (kind.part, kind.score) {
                (2, true) => vec![scores[number % scores.len()].as_bytes().to_vec(), text.clone()],
                (2, false) => vec![text.clone(), texts[texts.len() - 1 - number].clone()],
                _ => vec![text.clone()],
            })
            .collect()
    };
    let all = texts(random, 700);
    let mut values: Vec<Vec<Vec<u8>>> =
        all.iter().take(60).map(|text| arguments(std::slice::from_ref(text))).collect();
    if kind.name != "string" {
        let short: Vec<Vec<u8>> = all.iter().filter(|text| text.len() < 60).take(80).cloned().collect();
        values.extend([arguments(&all[..16]), arguments(&short), arguments(&all)]);
        values.push(arguments(
            &(0..300).map(|number| (number * 7).to_string().into_bytes()).collect::<Vec<_>>(),
        ));
    }
    values
}

/// The parts of the value under a key, in an order that two servers share.
fn contents(client: &mut Client, kind: &Type) -> Vec<Vec<String>> {
    let frame = client.call(kind.read);
    let OwnedFrame::Array { data, .. } = frame else { return vec![vec![format!("{frame:?}")]] };
    let texts: Vec<String> = data.iter().map(text).collect();
    let mut parts: Vec<Vec<String>> = texts.chunks(kind.part).map(<[String]>::to_vec).collect();
    if !kind.ordered {
        parts.sort_unstable();
    }
    parts
}

fn bytes(frame: OwnedFrame) -> Vec<u8> {
    match frame {
        OwnedFrame::BlobString { data, .. } => data,
        other => panic!("DUMP answers {other:?}"),
    }
}

/// Has `to` restore what `from` dumps, and asserts that it has the same then.
fn exchange(kind: &Type, from: &mut Client, to: &mut Client, what: &str) {
    let payload = bytes(from.call(&["DUMP", "key"]));
    let restored = text(&to.call(&[&b"RESTORE"[..], b"key", b"0", &payload, b"REPLACE"]));
    assert_eq!(restored, "OK", "{what}: {payload:?}");
    assert_eq!(contents(to, kind), contents(from, kind), "{what}: {payload:?}");
}

#[test]
fn payloads_go_both_ways() {
    for peer in [Peer::Redis, Peer::Valkey] {
        let Some(server) = PeerServer::start(peer) else { continue };
        let quartet = Server::quartet(&[]);
        let (mut theirs, mut ours) = (Client::connect(server.address()), Client::connect(quartet.address()));
        for settings in SETTINGS {
            for setting in *settings {
                let set = format!("CONFIG SET {setting}");
                assert_eq!(theirs.ask(&set), "OK", "{set}");
            }
            for kind in TYPES {
                if ours.call(&["COMMAND", "INFO", kind.add]) == ours.call(&["COMMAND", "INFO", "nonsense"]) {
                    continue;
                }
                let mut random = Random::with_seed(17);
                for value in values(kind, &mut random) {
                    theirs.ask("DEL key");
                    let request = [vec![kind.add.as_bytes().to_vec(), b"key".to_vec()], value].concat();
                    theirs.call(&request);
                    let what = format!("{} {} from {settings:?}", peer.name(), kind.name);
                    exchange(kind, &mut theirs, &mut ours, &what);
                    theirs.ask("DEL key");
                    exchange(kind, &mut ours, &mut theirs, &what);
                }
            }
        }
    }
}
