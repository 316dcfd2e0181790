//! What hostile and lost clients send: each is answered as nats-server does, and nobody else notices.

use std::net::SocketAddr;

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::peers;
use crate::support::process::{Server, wait_for};

/// How most clients begin.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n";

/// The limit of the servers under test, in which deeply nested JSON has room.
const CONTROL_LINE: usize = 64 * 1024;

/// What comes back.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    /// These bytes, and the connection lives on.
    Stays(String),
    /// These bytes, and the end.
    Closed(String),
    /// Nothing is waited for: the client leaves.
    Left,
}

/// A frame, or what somebody takes for one.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    here: Answer,
    /// What nats-server answers if that is something else, and why.
    there: Option<(Answer, &'static str)>,
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, here: Answer) -> Case {
    Case { name, bytes: bytes.into(), here, there: None }
}

/// The same after CONNECT.
fn connected(name: &'static str, bytes: impl AsRef<[u8]>, here: Answer) -> Case {
    case(name, [CONNECT.as_bytes(), bytes.as_ref()].concat(), here)
}

impl Case {
    fn but_there(self, there: Answer, reason: &'static str) -> Case {
        Case { there: Some((there, reason)), ..self }
    }
}

fn stays(text: impl Into<String>) -> Answer {
    Answer::Stays(text.into())
}

fn closed() -> Answer {
    Answer::Closed(String::new())
}

fn closed_with(error: &str) -> Answer {
    Answer::Closed(format!("-ERR '{error}'\r\n"))
}

fn unknown() -> Answer {
    closed_with("Unknown Protocol Operation")
}

fn too_long() -> Answer {
    closed_with("maximum control line exceeded")
}

fn lengths() -> Vec<Case> {
    let violation = || closed_with("Maximum Payload Violation");
    let megabyte = "x".repeat(1 << 20);
    vec![
        connected("the longest payload", format!("PUB a {}\r\n{megabyte}\r\n", 1 << 20), stays("")),
        connected("a byte more", format!("PUB a {}\r\n{megabyte}x\r\n", (1 << 20) + 1), violation()),
        connected("nine digits", "PUB a 999999999\r\nhello", violation()),
        connected("ten digits", "PUB a 4294967296\r\nhello", closed()),
        connected("a length that overflows", "PUB a 18446744073709551617\r\nx\r\n", closed()),
        connected("a negative length", "PUB a -1\r\n", closed()),
        connected("a length with a sign", "PUB a +1\r\nx\r\n", closed()),
        connected("a hexadecimal length", "PUB a 0x1\r\nx\r\n", closed()),
        connected("a length with a comma", "PUB a 1,000\r\n", closed()),
        connected("a length of other digits", "PUB a ١\r\nx\r\n", closed()),
        connected("no length", "PUB a\r\n", closed()),
        connected("headers longer than all", "HPUB a 20 12\r\nNATS/1.0\r\n\r\n\r\n", closed()),
        connected("headers of negative length", "HPUB a -12 12\r\nNATS/1.0\r\n\r\n\r\n", closed()),
        connected(
            "headers that overflow",
            "HPUB a 18446744073709551628 12\r\nNATS/1.0\r\n\r\n\r\n",
            closed(),
        ),
        connected("headers over the limit", format!("HPUB a 12 {}\r\n", (1 << 20) + 1), violation()),
        connected("no headers at all", "HPUB a 0 0\r\n\r\n", stays("")),
        connected("one length for two", "HPUB a 12\r\nNATS/1.0\r\n\r\n\r\n", closed()),
    ]
}

fn ends() -> Vec<Case> {
    vec![
        connected("no line end behind a payload", "PUB a 2\r\nhiPING\r\n", unknown()),
        connected("no line end behind nothing", "PUB a 0\r\nPING\r\n", unknown()),
        connected("half a line end", "PUB a 2\r\nhi\rPING\r\n", unknown()),
        connected("a payload that is longer", "PUB a 2\r\nhello\r\n", unknown()),
        connected("a payload that is shorter", "PUB a 9\r\nhi\r\nPING\r\nPING\r\n", unknown()),
        connected(
            "a line end the wrong way round",
            "PING\n\rPING\r\n",
            Answer::Closed("PONG\r\n-ERR 'Unknown Protocol Operation'\r\n".into()),
        ),
        connected("an empty line", "\r\nPING\r\n", unknown()),
        connected("half a verb", "PU", Answer::Left),
        connected("half a line", "SUB a ", Answer::Left),
        connected("half a payload", "PUB a 1000000\r\nhello", Answer::Left),
        connected("half a line end and no more", "PUB a 2\r\nhi\r", Answer::Left),
        case("half of CONNECT", "CONNECT {\"verbose\":fal", Answer::Left),
        case("half of INFO", "INFO {\"server_id\":", Answer::Left),
    ]
}

fn lines() -> Vec<Case> {
    let long = |length: usize| "a".repeat(length);
    let id = long(60_000);
    vec![
        connected("a subject of 64 KiB", format!("SUB {} 1\r\n", long(CONTROL_LINE)), too_long()),
        connected(
            "a subject of 64 KiB to publish on",
            format!("PUB {} 0\r\n\r\n", long(CONTROL_LINE)),
            too_long(),
        ),
        connected("a line without an end", format!("PUB {}", long(1 << 20)), too_long()),
        connected(
            "an id of thousands of bytes",
            format!("SUB a {id}\r\nPUB a 2\r\nhi\r\nUNSUB {id}\r\nPUB a 2\r\nhi\r\n"),
            stays(format!("MSG a {id} 2\r\nhi\r\n")),
        ),
        connected("an id of too many", format!("SUB a {}\r\n", long(CONTROL_LINE)), too_long()),
        connected(
            "thousands of tokens",
            format!("SUB {}a 1\r\nPUB {}a 0\r\n\r\n", "a.".repeat(20_000), "a.".repeat(20_000)),
            stays(format!("MSG {}a 1 0\r\n\r\n", "a.".repeat(20_000))),
        ),
        connected(
            "thousands of wildcards",
            format!("SUB {}> 1\r\nPUB {}a 0\r\n\r\n", "*.".repeat(20_000), "a.".repeat(20_000)),
            stays(format!("MSG {}a 1 0\r\n\r\n", "a.".repeat(20_000))),
        ),
        connected(
            "thousands of blanks",
            format!(
                "SUB{}a{}1{}\r\nPUB a 0\r\n\r\n",
                " ".repeat(3000),
                "\t".repeat(3000),
                " \t".repeat(3000)
            ),
            stays("MSG a 1 0\r\n\r\n"),
        ),
        connected(
            "more blanks than a line may have",
            format!("SUB{}a 1\r\n", " ".repeat(CONTROL_LINE + 1)),
            too_long(),
        )
        .but_there(stays(""), "blanks are not counted, so a line may be endless"),
        connected(
            "verbs in odd cases",
            "sUb a 1\r\npUB a 0\r\n\r\nhPuB a 12 12\r\nNATS/1.0\r\n\r\n\r\nuNsUb 1\r\npInG\r\n",
            stays("MSG a 1 0\r\n\r\nHMSG a 1 12 12\r\nNATS/1.0\r\n\r\n\r\nPONG\r\n"),
        ),
        connected("something behind PING", format!("PING {}\r\n", long(3000)), stays("PONG\r\n")),
        connected("ten thousand PINGs", "PING\r\n".repeat(10_000), stays("PONG\r\n".repeat(10_000))),
        connected("ten thousand PONGs", "PONG\r\n+OK\r\nINFO {}\r\n".repeat(10_000), stays("")),
    ]
}

fn words() -> Vec<Case> {
    vec![
        connected("a wildcard to publish on", "PUB a.* 0\r\n\r\nPUB > 0\r\n\r\n", stays("")),
        connected("empty tokens to publish on", "PUB a..b 0\r\n\r\nPUB . 0\r\n\r\n", stays("")),
        connected("a wildcard amid a subject", "SUB a.>.b 1\r\n", stays("-ERR 'Invalid Subject'\r\n")),
        connected("a NUL in a subject to publish on", "PUB a\0b 0\r\n\r\n", stays("")),
        connected("a NUL in a subject", "SUB a\0b 1\r\n", stays("-ERR 'Invalid Subject'\r\n"))
            .but_there(stays(""), "a control byte is no part of our subjects"),
        connected("a NUL in an id", "SUB a \0\r\nPUB a 0\r\n\r\n", stays("MSG a \0 0\r\n\r\n")),
        connected("NULs for a verb", "\0\0\0\0", unknown()),
        connected("NULs for a payload", "SUB a 1\r\nPUB a 3\r\n\0\0\0\r\n", stays("MSG a 1 3\r\n\0\0\0\r\n")),
        connected("a group with wildcards", "SUB a b.* 1\r\nPUB a 0\r\n\r\n", stays("MSG a 1 0\r\n\r\n")),
        connected(
            "a reply subject that is none",
            "SUB a 1\r\nPUB a ..>.* 0\r\n\r\n",
            stays("MSG a 1 ..>.* 0\r\n\r\n"),
        ),
        connected("UNSUB of nothing", "UNSUB nothing\r\nUNSUB nothing 5\r\n", stays("")),
        connected("UNSUB after zero", "SUB a 1\r\nUNSUB 1 0\r\nPUB a 0\r\n\r\n", stays("")),
        connected("UNSUB after fewer", "SUB a 1\r\nUNSUB 1 -5\r\nPUB a 0\r\n\r\n", stays("")),
        connected(
            "UNSUB after more than there are",
            "SUB a 1\r\nUNSUB 1 99999999999999999999\r\nPUB a 0\r\n\r\n",
            stays(""),
        ),
        connected("too many words", "SUB a b c d\r\n", closed()),
        connected("a verb that goes on", "SUBS a 1\r\n", unknown()),
        connected("a message from a client", "MSG a 1 2\r\nhi\r\n", unknown()),
        connected("an error from a client", "-ERR 'oh'\r\nPING\r\n", closed()),
        connected(
            "headers that are none",
            "SUB a 1\r\nHPUB a 7 7\r\nhello\r\n\r\n",
            stays("HMSG a 1 7 7\r\nhello\r\n\r\n"),
        ),
        connected(
            "a header without a colon",
            "SUB a 1\r\nHPUB a 17 17\r\nNATS/1.0\r\nA b\r\n\r\n\r\n",
            stays("HMSG a 1 17 17\r\nNATS/1.0\r\nA b\r\n\r\n\r\n"),
        ),
        connected(
            "headers without an end",
            "SUB a 1\r\nHPUB a 10 10\r\nNATS/1.0\r\n\r\n",
            stays("HMSG a 1 10 10\r\nNATS/1.0\r\n\r\n"),
        ),
    ]
}

fn connects() -> Vec<Case> {
    let nested = |depth: usize| format!("CONNECT {{\"a\":{}{}}}\r\n", "[".repeat(depth), "]".repeat(depth));
    vec![
        case("JSON nested 10,000 deep", nested(10_000), closed()),
        case("JSON nested without an end", format!("CONNECT {}\r\n", "{\"a\":".repeat(10_000)), closed()),
        connected("CONNECT twice", CONNECT, stays("")),
        case("CONNECT of another type", "CONNECT {\"verbose\":\"no\"}\r\n", closed()),
        case("a name that is a number", "CONNECT {\"name\":1}\r\n", closed()),
        case("a protocol that is no whole number", "CONNECT {\"protocol\":1.5}\r\n", closed()),
        case("a protocol that is endless", "CONNECT {\"protocol\":1e999}\r\n", closed()),
        case("a list", "CONNECT [{}]\r\n", closed()),
        case("nothing", "CONNECT\r\n", closed()),
        case("two objects", "CONNECT {} {}\r\n", closed()),
        case("keys that are there twice", "CONNECT {\"verbose\":true,\"verbose\":false}\r\n", stays("")),
        case("a name that is no UTF-8", b"CONNECT {\"verbose\":false,\"name\":\"\xfc\"}\r\n", stays("")),
        case("half a surrogate", "CONNECT {\"verbose\":false,\"name\":\"\\ud800\"}\r\n", closed())
            .but_there(stays(""), "half a surrogate becomes U+FFFD"),
        case(
            "a name of line ends",
            "CONNECT {\"verbose\":false,\"name\":\"a\\r\\nMSG a 1 0\\r\\n\\r\\n\"}\r\n",
            stays(""),
        ),
        case(
            "no_responders without headers",
            "CONNECT {\"verbose\":false,\"headers\":false,\"no_responders\":true}\r\n",
            closed_with("no responders requires headers support"),
        ),
    ]
}

fn strangers() -> Vec<Case> {
    vec![
        case("HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", unknown()),
        case("a POST of a browser", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nPUB a 0\r\n\r\n", unknown()),
        case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", unknown()),
        case("RESP", "*1\r\n$4\r\nPING\r\n", unknown()),
        case("SSH", "SSH-2.0-OpenSSH_9.2\r\n", unknown()),
        case("MQTT", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", unknown()),
        case("a byte order mark", "\u{feff}PING\r\n", unknown()),
    ]
}

fn cases() -> Vec<Case> {
    [lengths(), ends(), lines(), words(), connects(), strangers()].into_iter().flatten().collect()
}

/// What shows that a connection lives on.
const ALIVE: [&str; 2] = ["SUB is.alive yes\r\nPUB is.alive 0\r\n\r\n", "MSG is.alive yes 0\r\n\r\n"];

/// What comes back to a client that sends the bytes of a case in such pieces.
fn answer(address: SocketAddr, case: &Case, expected: &Answer, piece: usize) -> Answer {
    let (mut client, _) = BrokerClient::connect(address);
    case.bytes.chunks(piece).for_each(|piece| client.write_anyway(piece));
    let read = match expected {
        Answer::Left => return Answer::Left,
        Answer::Closed(_) => client.read_to_end(),
        Answer::Stays(_) => {
            client.write_anyway(ALIVE[0]);
            client.read_until(ALIVE[1])
        }
    };
    // A server pings when it wants to.
    let read = read.replace("PING\r\n", "");
    match read.strip_suffix(ALIVE[1]) {
        Some(read) => Answer::Stays(read.to_owned()),
        None => Answer::Closed(read),
    }
}

/// Sends every case, and looks after each that another client is served.
fn check(
    server: &Server,
    expected: impl Fn(&Case) -> (Answer, &'static str),
    pieces: impl Fn(&Case) -> Vec<usize>,
) {
    let mut other = BrokerClient::quiet(server.broker_address());
    other.write("SUB other 1\r\n");
    let mut wrong = Vec::new();
    for case in cases() {
        let (expected, reason) = expected(&case);
        for piece in pieces(&case) {
            let found = answer(server.broker_address(), &case, &expected, piece);
            if found != expected {
                let name = case.name;
                wrong.push(format!("{name}, by {piece}: {found:.200?}, not {expected:.200?} {reason}"));
            }
        }
        other.write("PUB other 2\r\nhi\r\n");
        assert_eq!(other.delivered().payload, b"hi", "after {}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hostile_frames_are_answered_and_harm_nobody() {
    let limit = CONTROL_LINE.to_string();
    let server = server(&["--broker-max-control-line", &limit]);
    assert!(cases().len() >= 40);
    // Short ones come byte by byte too.
    let pieces = |case: &Case| vec![usize::MAX, if case.bytes.len() < 1000 { 1 } else { 1000 }];
    check(&server, |case| (case.here.clone(), ""), pieces);
    let mut resp = Client::connect(server.address());
    wait_for(|| (resp.figure("broker_connections") == 0).then_some(()));
    assert_eq!((resp.figure("broker_subscriptions"), resp.figure("broker_waiting_bytes")), (0, 0));
}

/// What nats-server answers, and why, if that is something else.
fn there(case: &Case) -> (Answer, &'static str) {
    match &case.there {
        Some((there, reason)) => (there.clone(), reason),
        None => (case.here.clone(), ""),
    }
}

#[test]
fn nats_server_answers_them_alike() {
    let Some(program) = peers::nats_server() else { return };
    let server = Server::nats(&program, 0, &format!("max_control_line: {CONTROL_LINE}"));
    check(&server, there, |_| vec![usize::MAX]);
}
