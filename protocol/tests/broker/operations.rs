//! The parser of operations: at its limits, against its naive twin, and cut anywhere.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quartet_protocol::broker::{Limits, Malformation, Operation, Parser, Publication, Step};
use quartet_protocol::resp::kept_of;

use super::checks::{self, LOW_LIMITS, read};
use super::peer;

/// One of each operation.
const CONVERSATION: &str = "CONNECT {\"verbose\":false}\r\nPING\r\nSUB a.* 1\r\nsub a.> group 2\nUNSUB 1 10\r\n\
PUB a answers 5\r\nhello\r\npub a 2 \n\r\n\nHPUB a b 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB a 0\r\n\r\nPONG\r\nINFO {}\r\n\
+OK\r\n-ERR 'gone'\r\nunsub 1\r\n";

fn step<'a>(input: &'a str, limits: &Limits) -> Step<'a> {
    Parser::new().next(input.as_bytes(), limits)
}

#[test]
fn a_whole_conversation_is_read() {
    let publication = |subject, reply, headers, payload| {
        Operation::Publish(Publication { subject, reply, headers, payload, has_headers: headers != b"" })
    };
    let reading = read(CONVERSATION.as_bytes(), [], &Limits::default());
    assert_eq!((reading.consumed, reading.malformation), (CONVERSATION.len(), None));
    assert_eq!(
        reading.operations,
        [
            Operation::Connect(b"{\"verbose\":false}"),
            Operation::Ping,
            Operation::Subscribe { subject: b"a.*", group: None, sid: b"1" },
            Operation::Subscribe { subject: b"a.>", group: Some(b"group"), sid: b"2" },
            Operation::Unsubscribe { sid: b"1", maximum: Some(10) },
            publication(b"a", b"answers", b"", b"hello"),
            publication(b"a", b"", b"", b"\r\n"),
            publication(b"a", b"b", b"NATS/1.0\r\n\r\n", b"hi"),
            publication(b"a", b"", b"", b""),
            Operation::Pong,
            Operation::Info,
            Operation::Ok,
            Operation::Error(b"'gone'"),
            Operation::Unsubscribe { sid: b"1", maximum: None },
        ]
    );
}

#[test]
fn a_conversation_may_be_cut_at_any_two_places() {
    let stream = CONVERSATION.as_bytes();
    for limits in [Limits::default(), LOW_LIMITS] {
        let whole = read(stream, [], &limits);
        for second in 0..=stream.len() {
            for first in 0..=second {
                assert_eq!(read(stream, [first, second], &limits), whole, "{first} {second}");
            }
        }
        assert_eq!(read(stream, 0..stream.len(), &limits), whole, "byte by byte");
    }
}

#[test]
fn the_inputs_that_servers_were_asked_may_be_cut_anywhere() {
    for (input, ..) in peer::inputs() {
        checks::operations(input);
        checks::operations_split(input, &[0]);
        checks::operations_split(input, &[2, 0, 6]);
    }
}

#[test]
fn an_idle_parser_is_small() {
    assert!(size_of::<Parser>() <= 64);
}

#[test]
fn the_missing_bytes_of_a_message_are_told() {
    let need = |input| step(input, &Limits::default());
    assert_eq!(need("PUB a 10"), Step::NeedMore { at_least: 0 });
    assert_eq!(need("PUB a 10\r\n"), Step::NeedMore { at_least: 11 });
    assert_eq!(need("HPUB a 12 15\r\nNATS/1.0\r\n\r\nhi"), Step::NeedMore { at_least: 2 });
    assert_eq!(need("PUB a 2\r\nhi"), Step::NeedMore { at_least: 1 });
    assert_eq!(need("PUB a 2\r\nhi\r"), Step::NeedMore { at_least: 1 });
}

#[test]
fn a_payload_beyond_the_limit_is_refused_before_it_comes() {
    let limits = Limits { control_line: 30, payload: 10 };
    assert_eq!(step("PUB a 10\r\n", &limits), Step::NeedMore { at_least: 11 });
    assert_eq!(step("PUB a 11\r\n", &limits), Step::Malformed(Malformation::PayloadTooLong));
    assert_eq!(step("HPUB a 10 10\r\n", &limits), Step::NeedMore { at_least: 11 });
    assert_eq!(step("HPUB a 1 11\r\n", &limits), Step::Malformed(Malformation::PayloadTooLong));
    assert_eq!(step("HPUB a 12 11\r\n", &limits), Step::Malformed(Malformation::HeadersTooLong));
}

#[test]
fn a_line_beyond_the_limit_is_refused_whether_it_ends_or_not() {
    let limits = Limits::default();
    for verb in ["PUB", "hpub", "SUB", "UNSUB", "PING", "CONNECT", "-ERR"] {
        let longest = verb.to_owned() + " " + &"a".repeat(limits.control_line);
        let too_long = longest.clone() + "a";
        for line_end in ["\n", "\r\n"] {
            let input = longest.clone() + line_end;
            assert_ne!(step(&input, &limits), Step::Malformed(Malformation::ControlLineTooLong), "{verb}");
            let input = too_long.clone() + line_end;
            assert_eq!(step(&input, &limits), Step::Malformed(Malformation::ControlLineTooLong), "{verb}");
        }
        // The byte after the longest line may be its `\r`.
        assert_eq!(step(&too_long, &limits), Step::NeedMore { at_least: 0 });
        let input = too_long + "a";
        assert_eq!(step(&input, &limits), Step::Malformed(Malformation::ControlLineTooLong));
    }
}

#[test]
fn what_is_no_operation_is_refused_at_its_first_wrong_byte() {
    for input in ["\n", " ", "G", "PX", "PUBS", "PUB\r", "HPUBX", "-ERRX", "HM", "+E", "\x16"] {
        let limits = Limits::default();
        assert_eq!(step(input, &limits), Step::Malformed(Malformation::UnknownOperation), "{input:?}");
        let before = &input[..input.len() - 1];
        assert_eq!(step(before, &limits), Step::NeedMore { at_least: 0 }, "{before:?}");
    }
}

#[test]
fn a_long_payload_can_be_kept_without_a_copy() {
    let payload = "x".repeat(100_000);
    let input = Bytes::from(format!("PUB a {}\r\n{payload}\r\n", payload.len()));
    let Step::Operation { operation: Operation::Publish(publication), .. } =
        Parser::new().next(&input, &Limits::default())
    else {
        panic!("the message is whole");
    };
    let kept = kept_of(&input, publication.payload).expect("it is nearly all of the input");
    assert_eq!((kept.as_ptr(), kept.len()), (publication.payload.as_ptr(), payload.len()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_read_as_by_the_naive_twin(stream in vec(any::<u8>(), 0..100)) {
        checks::operations(&stream);
    }

    #[test]
    fn likely_bytes_read_as_by_the_naive_twin(stream in likely_stream()) {
        checks::operations(&stream);
    }

    #[test]
    fn any_cut_gives_the_same_operations(stream in likely_stream(), lengths in vec(0u8..20, 1..8)) {
        checks::operations_split(&stream, &lengths);
    }

    #[test]
    fn fuzz_inputs_hold(input in vec(any::<u8>(), 0..100)) {
        checks::operations_split_input(&input);
    }
}

/// Streams like those of real clients, with a violation now and then.
fn likely_stream() -> impl Strategy<Value = Vec<u8>> {
    let line = "(pub|PUB|HPUB|SUB|unsub|PING|CONNECT|-ERR|\\+OK|PUBX)[ \t]{0,2}([a-c.*>\x01]{0,9}[ \t\r]{1,2}){0,4}[0-9]{0,2}\r?\n";
    let message = ("[a-c.]{1,12}( [a-c.]{1,12})?", vec(any::<u8>(), 0..14), any::<bool>(), "\r?\n").prop_map(
        |(names, payload, has_headers, line_end)| {
            let length = payload.len();
            let head = match has_headers {
                true => format!("HPUB {names} {} {length}{line_end}", length / 2),
                false => format!("PUB {names} {length}{line_end}"),
            };
            [head.as_bytes(), &payload, line_end.as_bytes()].concat()
        },
    );
    let fragment = prop_oneof![
        6 => message,
        4 => line.prop_map(String::into_bytes),
        1 => prop::sample::select(vec!["\r\n", "\n", "\r", "PUB", " ", "SUB a 1", "PUB a 20\r\n", "PING"])
            .prop_map(|fragment| fragment.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(fragment, 0..8).prop_map(|fragments| fragments.concat())
}
