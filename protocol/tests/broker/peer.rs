//! The parser of operations beside nats-server 2.15.1, which was sent each of these inputs, at once and byte by byte.

use quartet_protocol::broker::{Limits, Malformation, Operation};

use super::checks::read;

/// Inputs of which both make the same, as [`outcome`] says it.  What follows from an operation is not the parser's: for
/// example nats-server closes the connection on an error or on a `CONNECT` without a JSON object.
const SAME: &[(&[u8], &str)] = &[
    (b"PUB foo 5\r\nhello\r\n", "publish foo|||hello"),
    (b"pub foo 5\nhello\r\n", "publish foo|||hello"),
    (b"PUB foo 5\r\nhello\r", "waits"),
    (b"PUB foo 5\r\nhelloX\r\n", "'Unknown Protocol Operation'"),
    (b"PUB foo 5\r\nhello\rX", "'Unknown Protocol Operation'"),
    (b"PUB foo 5\r\nhell\r\n", "'Unknown Protocol Operation'"),
    (b"pUb\tfoo\t5\r\nhello\r\n", "publish foo|||hello"),
    (b"PUB   foo  \t bar   5  \r\nhello\r\n", "publish foo|bar||hello"),
    (b"PUB foo 05\r\nhello\r\n", "publish foo|||hello"),
    (b"PUB foo 000000005\r\nhello\r\n", "publish foo|||hello"),
    (b"PUB foo 0000000005\r\nhello\r\n", "closes"),
    (b"PUB foo 0\r\n\r\n", "publish foo|||"),
    (b"PUB foo -1\r\n\r\n", "closes"),
    (b"PUB foo +1\r\nx\r\n", "closes"),
    (b"PUB foo 1.0\r\nx\r\n", "closes"),
    (b"PUB foo 0x1\r\nx\r\n", "closes"),
    (b"PUB foo x\r\n", "closes"),
    (b"PUB foo 1048576\r\n", "waits"),
    (b"PUB foo 1048577\r\n", "'Maximum Payload Violation'"),
    (b"PUB foo 999999999\r\n", "'Maximum Payload Violation'"),
    (b"PUB foo 9999999999\r\n", "closes"),
    (b"PUB foo 18446744073709551617\r\nx\r\n", "closes"),
    (b"PUB\r\n", "'Unknown Protocol Operation'"),
    (b"PUB\n", "'Unknown Protocol Operation'"),
    (b"PUB \r\n", "closes"),
    (b"PUB foo\r\n", "closes"),
    (b"PUB 5\r\nhello\r\n", "closes"),
    (b"PUB a b c 5\r\nhello\r\n", "closes"),
    (b"PUB a b c d 5\r\nhello\r\n", "closes"),
    (b"PUB foo\x0b 5\r\nhello\r\n", "publish foo\\x0b|||hello"),
    (b"PUB foo\x00bar 5\r\nhello\r\n", "publish foo\\x00bar|||hello"),
    (b"PUB f\xff\xfe 5\r\nhello\r\n", "publish f\\xff\\xfe|||hello"),
    (b"PUB foo..bar 5\r\nhello\r\n", "publish foo..bar|||hello"),
    (b"PUB .foo 5\r\nhello\r\n", "publish .foo|||hello"),
    (b"PUB foo.* 5\r\nhello\r\n", "publish foo.*|||hello"),
    (b"PUB foo.>.bar 5\r\nhello\r\n", "publish foo.>.bar|||hello"),
    (b"PUBX foo 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b"PUBfoo 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b" PUB foo 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b"\r\nPUB foo 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b"\nPING\r\n", "'Unknown Protocol Operation'"),
    (b"\r\n", "'Unknown Protocol Operation'"),
    (b" \r\n", "'Unknown Protocol Operation'"),
    (b"PING\r\n", "ping"),
    (b"ping\n", "ping"),
    (b"PING \r\n", "ping"),
    (b"PING hello\r\n", "ping"),
    (b"PINGX\r\n", "ping"),
    (b"PING\rX\r\n", "ping"),
    (b"PONG\r\n", "pong"),
    (b"PONGX\r\n", "pong"),
    (b"PIN\r\n", "'Unknown Protocol Operation'"),
    (b"PI", "waits"),
    (b"PX", "'Unknown Protocol Operation'"),
    (b"GET / HTTP/1.1\r\n\r\n", "'Unknown Protocol Operation'"),
    (b"\x16\x03\x01", "'Unknown Protocol Operation'"),
    (b"SUB foo\r\n", "closes"),
    (b"SUB\r\n", "'Unknown Protocol Operation'"),
    (b"SUB \r\n", "closes"),
    (b"SUB foo 1\r\n", "subscribe foo 1"),
    (b"SUB foo q 1\r\n", "subscribe foo q 1"),
    (b"SUB foo q r 1\r\n", "closes"),
    (b"SUB foo q r s 1\r\n", "closes"),
    (b"sub\tfoo\t\tq  1 \r\n", "subscribe foo q 1"),
    (b"SUB foo\rq 1\r\n", "subscribe foo q 1"),
    (b"SUB foo..bar 1\r\n", "subscribe foo..bar 1"),
    (b"SUB foo.>.bar 1\r\n", "subscribe foo.>.bar 1"),
    (b"SUB foo* 1\r\n", "subscribe foo* 1"),
    (b"SUB foo. 1\r\n", "subscribe foo. 1"),
    (b"SUB .foo 1\r\n", "subscribe .foo 1"),
    (b"SUB > 1\r\nSUB foo 1\r\n", "subscribe > 1, subscribe foo 1"),
    (b"SUB foo\x00 1\r\n", "subscribe foo\\x00 1"),
    (b"SUB foo\x0b 1\r\n", "subscribe foo\\x0b 1"),
    (b"SUB foo\x7f 1\r\n", "subscribe foo\\x7f 1"),
    (b"SUB f\xff\xfe 1\r\n", "subscribe f\\xff\\xfe 1"),
    (b"SUB foo q.* 1\r\n", "subscribe foo q.* 1"),
    (b"SUB foo q..x 1\r\n", "subscribe foo q..x 1"),
    (b"SUB foo q\x0b 1\r\n", "subscribe foo q\\x0b 1"),
    (b"UNSUB\r\n", "'Unknown Protocol Operation'"),
    (b"UNSUB \r\n", "closes"),
    (b"UNSUB 1\r\n", "unsubscribe 1"),
    (b"UNSUB 1 2\r\n", "unsubscribe 1 2"),
    (b"UNSUB 1 2 3\r\n", "closes"),
    (b"SUB foo 1\r\nUNSUB 1 x\r\n", "subscribe foo 1, unsubscribe 1"),
    (b"SUB foo 1\r\nUNSUB 1 -1\r\n", "subscribe foo 1, unsubscribe 1"),
    (b"UNSUB 1 9999999999\r\n", "unsubscribe 1"),
    (b"UNSUBX 1\r\n", "'Unknown Protocol Operation'"),
    (b"CONNECT {}\r\n", "connect {}"),
    (b"CONNECT{}\r\n", "connect {}"),
    (b"CONNECT\t{}\r\n", "connect {}"),
    (b"CONNECT\r\n", "connect "),
    (b"CONNECT \r\n", "connect "),
    (b"CONNECT nonsense\r\n", "connect nonsense"),
    (b"connect {\"verbose\":false}\n", "connect {\\\"verbose\\\":false}"),
    (b"CONNECT {} {}\r\n", "connect {} {}"),
    (b"CONNECT []\r\n", "connect []"),
    (b"CONNECT null\r\n", "connect null"),
    (b"INFO {}\r\n", "info"),
    (b"INFO{}\r\n", "info"),
    (b"+OK\r\n", "ok"),
    (b"+ok\r\n", "ok"),
    (b"+OKX\r\n", "ok"),
    (b"+\r\n", "'Unknown Protocol Operation'"),
    (b"-ERR 'x'\r\n", "error \\'x\\'"),
    (b"-ERR\r\n", "'Unknown Protocol Operation'"),
    (b"-ERRX\r\n", "'Unknown Protocol Operation'"),
    (b"-err x\r\n", "error x"),
    (b"MSG foo 1 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b"HMSG foo 1 5 5\r\nhello\r\n", "'Unknown Protocol Operation'"),
    (b"HPUB foo 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", "publish foo||NATS/1.0\\r\\n\\r\\n|hello"),
    (b"hpub foo bar 12 17\nNATS/1.0\r\n\r\nhello\r\n", "publish foo|bar|NATS/1.0\\r\\n\\r\\n|hello"),
    (b"HPUB foo 17\r\nNATS/1.0\r\n\r\nhello\r\n", "closes"),
    (b"HPUB foo 18 17\r\nNATS/1.0\r\n\r\nhello\r\n", "closes"),
    (b"HPUB foo 12 12\r\nNATS/1.0\r\n\r\n\r\n", "publish foo||NATS/1.0\\r\\n\\r\\n|"),
    (b"HPUB foo 0 5\r\nhello\r\n", "publish foo|||hello"),
    (b"HPUB foo 5 5\r\nhello\r\n", "publish foo||hello|"),
    (b"HPUB foo x 5\r\nhello\r\n", "closes"),
    (b"HPUB foo 5 x\r\nhello\r\n", "closes"),
    (b"HPUB foo -1 5\r\nhello\r\n", "closes"),
    (b"HPUB a b c 5 5\r\nhello\r\n", "closes"),
    (b"HPUB\r\n", "'Unknown Protocol Operation'"),
    (b"HPUB foo 5 1048577\r\n", "'Maximum Payload Violation'"),
    (b"HPUB foo 2000000 1048577\r\n", "closes"),
];

/// Inputs that differ: what nats-server does, what the parser makes of them, and the reason.
const DIFFERENT: &[(&[u8], &str, &str, &str)] = &[
    (
        b"PUB foo 5\nhello\n",
        "'Unknown Protocol Operation'",
        "publish foo|||hello",
        "typed without returns; no client sends this",
    ),
    (
        b"PUB foo 5\r\nhello\n",
        "'Unknown Protocol Operation'",
        "publish foo|||hello",
        "the same; no return before the line feed hints at a payload that was counted wrongly",
    ),
    (b"PUB \n", "waits", "closes", "nats-server takes the line feed for an argument and waits"),
    (
        b"PUB \nfoo 2\r\nok\r\n",
        "taken",
        "closes",
        "nats-server takes the line feed for a part of the subject, which no line may have",
    ),
    (
        b"PUB foo\r5\r\nhello\r\n",
        "closes",
        "publish foo|||hello",
        "a return separates words wherever it is; nats-server cuts a byte off, and for SUB separates too",
    ),
    (
        b"PUB foo 5\r\r\nhello\r\n",
        "closes",
        "publish foo|||hello",
        "a return separates words wherever it is; nats-server cuts a byte off, and for SUB separates too",
    ),
    (
        b"PUB foo 5\r \r\nhello\r\n",
        "closes",
        "publish foo|||hello",
        "the same; nats-server takes it too if it comes byte by byte",
    ),
    (
        b"PUB foo\r 5\nhello\r\n",
        "closes",
        "publish foo|||hello",
        "the same; nats-server takes it too if it comes byte by byte",
    ),
    (
        b"INFO\r\n",
        "closes",
        "info",
        "a server's word means nothing; nats-server takes the line feed for an argument",
    ),
    (
        b"PUB foo 5\nhell\r\n",
        "'Unknown Protocol Operation'",
        "publish foo|||hell\\r",
        "the same: a return before a bare line feed may be typed",
    ),
];

pub(crate) fn inputs() -> impl Iterator<Item = (&'static [u8], &'static str)> {
    let different = DIFFERENT.iter().map(|&(input, _, ours, _)| (input, ours));
    SAME.iter().copied().chain(different)
}

/// What becomes of an input: the operations, and how it ends if not behind a whole one.
fn outcome(input: &[u8]) -> String {
    let reading = read(input, [], &Limits::default());
    let mut words: Vec<String> = reading.operations.iter().map(operation).collect();
    match reading.malformation.map(Malformation::answer) {
        Some(Some(text)) => words.push(format!("'{text}'")),
        Some(None) => words.push("closes".to_owned()),
        None if reading.consumed < input.len() => words.push("waits".to_owned()),
        None => {}
    }
    words.join(", ")
}

fn operation(operation: &Operation<'_>) -> String {
    let text = |part: &[u8]| part.escape_ascii().to_string();
    match *operation {
        Operation::Connect(json) => format!("connect {}", text(json)),
        Operation::Ping => "ping".to_owned(),
        Operation::Pong => "pong".to_owned(),
        Operation::Info => "info".to_owned(),
        Operation::Ok => "ok".to_owned(),
        Operation::Error(message) => format!("error {}", text(message)),
        Operation::Publish(message) => {
            let parts = [message.subject, message.reply, message.headers, message.payload].map(text);
            format!("publish {}", parts.join("|"))
        }
        Operation::Subscribe { subject, group: None, sid } => {
            format!("subscribe {} {}", text(subject), text(sid))
        }
        Operation::Subscribe { subject, group: Some(group), sid } => {
            format!("subscribe {} {} {}", text(subject), text(group), text(sid))
        }
        Operation::Unsubscribe { sid, maximum: None } => format!("unsubscribe {}", text(sid)),
        Operation::Unsubscribe { sid, maximum: Some(maximum) } => {
            format!("unsubscribe {} {maximum}", text(sid))
        }
    }
}

#[test]
fn inputs_are_taken_as_by_nats_server() {
    for (input, ours) in inputs() {
        assert_eq!(outcome(input), ours, "{}", input.escape_ascii());
    }
}

#[test]
fn differences_differ_and_have_a_reason() {
    for (input, theirs, ours, reason) in DIFFERENT {
        assert!(theirs != ours && !reason.is_empty(), "{}", input.escape_ascii());
    }
}
