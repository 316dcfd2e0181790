//! The request parser: against a table, against its naive twin, against `redis-protocol`, and cut anywhere.

use proptest::collection::vec;
use proptest::prelude::*;
use quartet_protocol::resp::{Batch, Outcome, Parser, RequestLimits};
use redis_protocol::resp2;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};

use crate::checks::{self, Connection, LOW_LIMITS, Reading, read};

const PING: &str = "*1\r\n$4\r\nPING\r\n";

/// Streams that break the protocol, and the text of the answer, as redis-server gives it.
const MALFORMED: &[(&str, &str)] = &[
    ("*\r\n", "invalid multibulk length"),
    ("*abc\r\n", "invalid multibulk length"),
    ("*01\r\n", "invalid multibulk length"),
    ("*-0\r\n", "invalid multibulk length"),
    ("*+1\r\n", "invalid multibulk length"),
    ("* 1\r\n", "invalid multibulk length"),
    ("*2147483648\r\n", "invalid multibulk length"),
    ("*9223372036854775808\r\n", "invalid multibulk length"),
    ("*1\r\n$\r\n", "invalid bulk length"),
    ("*1\r\n$-1\r\n", "invalid bulk length"),
    ("*1\r\n$abc\r\n", "invalid bulk length"),
    ("*1\r\n$01\r\n", "invalid bulk length"),
    ("*1\r\n$536870913\r\n", "invalid bulk length"),
    ("*2\r\n$3\r\nGET\r\n$4294967296\r\n", "invalid bulk length"),
    ("*1\r\nfoo\r\n", "expected '$', got 'f'"),
    ("*1\r\n:1\r\n", "expected '$', got ':'"),
    ("*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'"),
    ("*1\r\n\r\n", "expected '$', got '\r'"),
    ("GET \"a\r\n", "unbalanced quotes in request"),
    ("GET 'a'b\r\n", "unbalanced quotes in request"),
    ("GET \"a\"b\n", "unbalanced quotes in request"),
];

#[test]
fn malformed_streams_are_answered_as_by_redis() {
    for &(stream, text) in MALFORMED {
        // Requests before the broken one count, nothing behind it does.
        let stream = [PING, stream, PING].concat();
        let reading = read([stream.as_bytes()], usize::MAX, &RequestLimits::NORMAL);
        assert_eq!(reading.error.map(|error| error.to_string()).as_deref(), Some(text), "{stream:?}");
        assert_eq!(reading.requests, [[b"PING"]], "{stream:?}");
        assert_eq!(reading.consumed, PING.len(), "{stream:?}");
    }
}

#[test]
fn lines_without_an_end_are_refused_beyond_their_limit() {
    for (head, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("a", "too big inline request"),
    ] {
        let line_head = head.len() - head.rfind('\n').map_or(0, |line_end| line_end + 1);
        let longest = head.to_string() + &"1".repeat(64 * 1024 - line_head);
        let too_long = longest.clone() + "1";
        for (stream, text) in [(&longest, None), (&too_long, Some(text))] {
            let reading = read([stream.as_bytes()], usize::MAX, &RequestLimits::NORMAL);
            assert_eq!(reading.error.map(|error| error.to_string()).as_deref(), text);
        }
    }
}

#[test]
fn an_unauthenticated_client_may_send_less() {
    for (stream, text) in [
        ("*10\r\n", None),
        ("*11\r\n", Some("unauthenticated multibulk length")),
        ("*1\r\n$16384\r\n", None),
        ("*1\r\n$16385\r\n", Some("unauthenticated bulk length")),
    ] {
        let reading = read([stream.as_bytes()], usize::MAX, &RequestLimits::UNAUTHENTICATED);
        assert_eq!(reading.error.map(|error| error.to_string()).as_deref(), text, "{stream:?}");
        assert_eq!(read([stream.as_bytes()], usize::MAX, &RequestLimits::NORMAL).error, None);
    }
}

#[test]
fn bytes_that_redis_does_not_check_are_not_checked() {
    for stream in [
        "*1\rX$4\rYPINGZZ",
        "PING\n",
        "PING\r\n",
        "  PING  \r\n",
        "\"PING\"\r\n",
        "\r\n\n \r\n*0\r\n*-1\r\n*-5\r\nPING\r\n*0\r\n\n",
    ] {
        let reading = read([stream.as_bytes()], usize::MAX, &RequestLimits::NORMAL);
        let requests = vec![vec![b"PING".to_vec()]];
        assert_eq!(reading, Reading { requests, consumed: stream.len(), error: None }, "{stream:?}");
    }
}

#[test]
fn the_missing_bytes_of_an_argument_are_told() {
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let mut need = |stream: &str| {
        parser.parse(&mut stream.as_bytes().to_vec(), &mut batch, 32, &RequestLimits::NORMAL).outcome
    };
    assert_eq!(need("*2\r\n$3\r\nGE"), Outcome::NeedMore { at_least: 3 });
    assert_eq!(need("*2\r\n$3\r\nGET\r"), Outcome::NeedMore { at_least: 1 });
    assert_eq!(need("*2\r\n$3\r\nGET\r\n$10"), Outcome::NeedMore { at_least: 0 });
    assert_eq!(need("*2\r\n$3\r\nGET\r\n$100\r\n"), Outcome::NeedMore { at_least: 102 });
}

#[test]
fn a_full_batch_leaves_the_rest() {
    let mut stream = PING.repeat(5).into_bytes();
    let mut parser = Parser::new();
    let mut batch = Batch::new();
    let progress = parser.parse(&mut stream, &mut batch, 3, &RequestLimits::NORMAL);
    assert_eq!((progress.consumed, progress.outcome), (3 * PING.len(), Outcome::BatchFull));
    assert_eq!((batch.len(), batch.end(0), batch.end(2)), (3, PING.len(), 3 * PING.len()));
    let progress = parser.parse(&mut stream[3 * PING.len()..], &mut batch, 2, &RequestLimits::NORMAL);
    assert_eq!(progress.outcome, Outcome::NeedMore { at_least: 0 });
    assert_eq!((progress.consumed, batch.len()), (2 * PING.len(), 2));
}

#[test]
fn short_streams_may_be_cut_at_any_two_places() {
    let streams = [
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello, world\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n",
        "\r\n*0\r\n\"a\\x41\" 'b c'\n*-1\r\n*2\r\n$0\r\n\r\n$1\r\nx\r\n",
        "*12\r\n$1\r\na\r\n$1\r\nb\r\n$100\r\nc",
        "PING\r\n*2\r\n$3\r\nGET\r\nx\r\n",
    ];
    let malformed = MALFORMED.iter().map(|&(stream, _)| stream);
    for stream in streams.into_iter().chain(malformed).map(str::as_bytes) {
        for limits in [RequestLimits::NORMAL, LOW_LIMITS] {
            let whole = read([stream], usize::MAX, &limits);
            for second in 0..=stream.len() {
                for first in 0..=second {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(read(pieces, 2, &limits), whole, "{first} {second}");
                }
            }
            assert_eq!(read(stream.chunks(1), 2, &limits), whole);
        }
    }
}

#[test]
fn a_request_of_many_arguments_may_come_in_many_reads() {
    let arguments: Vec<Vec<u8>> = (0..20_000).map(|number: u32| number.to_string().into_bytes()).collect();
    let stream = [PING.as_bytes(), &encode(&arguments), PING.as_bytes()].concat();
    let ping = vec![b"PING".to_vec()];
    let reading = read(stream.chunks(1000), 32, &RequestLimits::NORMAL);
    assert_eq!(reading.requests, [ping.clone(), arguments, ping]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_read_as_by_the_naive_twin(stream in vec(any::<u8>(), 0..200)) {
        checks::request(&stream);
    }

    #[test]
    fn likely_bytes_read_as_by_the_naive_twin(stream in likely_stream()) {
        checks::request(&stream);
    }

    #[test]
    fn inline_lines_read_as_by_the_naive_twin(line in r#"[ a-cx0-9nt"'\\\t\x0b\r]{0,40}"#) {
        checks::request((line + "\n").as_bytes());
    }

    #[test]
    fn any_cut_gives_the_same_requests(
        stream in likely_stream(),
        lengths in vec(0u8..40, 1..8),
        batch_limit in 1usize..5,
    ) {
        checks::request_split(&stream, &lengths, batch_limit);
    }

    #[test]
    fn fuzz_inputs_hold(input in vec(any::<u8>(), 0..100)) {
        checks::request_split_input(&input);
    }

    #[test]
    fn connections_may_share_a_batch(
        streams in vec(likely_stream(), 2..4),
        lengths in vec(0u8..40, 1..8),
    ) {
        let mut batch = Batch::new();
        let mut connections: Vec<Connection> = streams.iter().map(|_| Connection::default()).collect();
        let pieces: Vec<_> = streams.iter().map(|stream| checks::cut(stream, &lengths)).collect();
        for round in 0..pieces.iter().map(Vec::len).max().unwrap_or(0) {
            for (connection, pieces) in connections.iter_mut().zip(&pieces) {
                let piece = pieces.get(round).copied().unwrap_or_default();
                connection.receive(piece, &mut batch, 3, &RequestLimits::NORMAL);
            }
        }
        for (connection, stream) in connections.into_iter().zip(&streams) {
            prop_assert_eq!(connection.reading(), read([&stream[..]], usize::MAX, &RequestLimits::NORMAL));
        }
    }

    #[test]
    fn redis_protocol_encodes_what_is_read(requests in vec(request(), 1..20)) {
        let stream: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
        let reading = read([&stream[..]], usize::MAX, &RequestLimits::NORMAL);
        prop_assert_eq!(reading, Reading { requests, consumed: stream.len(), error: None });
    }
}

fn request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![9 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 0..300)], 1..12)
}

/// Streams like those of real peers, with a violation now and then.
fn likely_stream() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        6 => request().prop_map(|request| encode(&request)),
        4 => r#"[a-c "'\\]{0,10}\r?\n"#.prop_map(String::into_bytes),
        1 => prop::sample::select(vec!["*1\r\n", "*2\r\n", "*0\r\n", "*-1\r\n", "$1\r\n", "$3\r\nGET\r\n", "\r\n", "\r", "\n", "*", "$"])
            .prop_map(|fragment| fragment.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(fragment, 0..8).prop_map(|fragments| fragments.concat())
}

/// The request as `redis-protocol` writes it.
fn encode(arguments: &[Vec<u8>]) -> Vec<u8> {
    let frame = OwnedFrame::Array(arguments.iter().cloned().map(OwnedFrame::BulkString).collect());
    let mut buffer = vec![0; frame.encode_len(false)];
    let length =
        resp2::encode::encode(&mut buffer, &frame, false).expect("the buffer has the length asked for");
    buffer.truncate(length);
    buffer
}
