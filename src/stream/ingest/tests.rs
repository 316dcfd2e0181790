//! Messages are taken and refused as nats-server takes and refuses them; `tests/differential` compares the same with it.

use quartet_protocol::broker::headers::{HeaderBlock, Headers};
use quartet_protocol::broker::subject;

use super::{Lifetime, Rollup, Stored, Verdict, Wishes, decide, durations, terms_of};
use crate::stream::definition::StreamDefinition;
use crate::stream::json::{Nanoseconds, Time};

/// A stream with a message on `t.1` and one on `t.2`, which has an id; and whether it takes no more ids.
struct Two {
    is_full: bool,
}

const TWO: Two = Two { is_full: false };

impl Stored for Two {
    fn last_sequence(&self) -> u64 {
        2
    }

    fn last_message_id(&self) -> &[u8] {
        b"two"
    }

    fn last_on(&self, pattern: &[u8]) -> u64 {
        let matching = [(2, b"t.2"), (1, b"t.1")].into_iter().find(|(_, on)| subject::matches(pattern, *on));
        matching.map_or(0, |(sequence, _)| sequence)
    }

    fn with_id(&self, id: &[u8]) -> Option<u64> {
        (id == b"two").then_some(2)
    }

    fn is_full_of_ids(&self) -> bool {
        self.is_full
    }
}

fn stream(members: &str) -> StreamDefinition {
    let document = format!(r#"{{"name":"T","subjects":["t.>"]{members}}}"#);
    StreamDefinition::read(document.as_bytes())
        .and_then(|(read, _)| read.checked(false))
        .expect("it is a stream")
}

fn all() -> StreamDefinition {
    stream(r#","allow_msg_ttl":true,"allow_rollup_hdrs":true,"allow_msg_schedules":true"#)
}

const NOW: i64 = 1_700_000_000_000_000_000;

/// The number of the error, the sequence of a duplicate as `=2`, or `ok`.
fn verdict(stream: &StreamDefinition, headers: &[(&str, &str)]) -> String {
    let mut block = HeaderBlock::new();
    for (name, value) in headers {
        block.push(name.as_bytes(), value.as_bytes()).expect("it is a header");
    }
    let block = block.finish();
    let wishes = Wishes::read(Headers::new(&block).expect("it is a block"));
    match decide(stream, b"t.1", block.len(), 1, &wishes, &TWO, NOW) {
        Ok(Verdict::Store(_)) => "ok".to_owned(),
        Ok(Verdict::Duplicate(sequence)) => format!("={sequence}"),
        Err(error) => error.err_code.to_string(),
    }
}

#[test]
fn what_is_expected_must_be_so() {
    for (headers, expected) in [
        (&[("Nats-Msg-Id", "new")][..], "ok"),
        (&[("Nats-Msg-Id", "two")], "=2"),
        (&[("nats-msg-id", "two")], "ok"),
        (&[("Nats-Expected-Stream", "T")], "ok"),
        (&[("Nats-Expected-Stream", "X")], "10060"),
        (&[("Nats-Expected-Last-Sequence", "2")], "ok"),
        (&[("Nats-Expected-Last-Sequence", "0")], "10071"),
        (&[("Nats-Expected-Last-Sequence", "x")], "10071"),
        (&[("Nats-Expected-Last-Sequence", "")], "ok"),
        (&[("Nats-Expected-Last-Subject-Sequence", "1")], "ok"),
        (&[("Nats-Expected-Last-Subject-Sequence", "2")], "10071"),
        (&[("Nats-Expected-Last-Subject-Sequence", "-1")], "10071"),
        (
            &[
                ("Nats-Expected-Last-Subject-Sequence", "2"),
                ("Nats-Expected-Last-Subject-Sequence-Subject", "t.*"),
            ],
            "ok",
        ),
        (
            &[
                ("Nats-Expected-Last-Subject-Sequence", "0"),
                ("Nats-Expected-Last-Subject-Sequence-Subject", "q"),
            ],
            "ok",
        ),
        (&[("Nats-Expected-Last-Subject-Sequence-Subject", "t.1")], "10193"),
        (&[("Nats-Expected-Last-Msg-Id", "two")], "ok"),
        (&[("Nats-Expected-Last-Msg-Id", "one")], "10070"),
        // What is not built.
        (&[("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "1"), ("Nats-Expected-Stream", "X")], "10174"),
        (&[("Nats-Batch-Id", "")], "ok"),
        (&[("Nats-Incr", "+1"), ("Nats-Expected-Stream", "X")], "10168"),
        (&[("Nats-Incr", "-99999999999999999999"), ("Nats-TTL", "x")], "10168"),
        (&[("Nats-Incr", "one")], "10171"),
        (&[("Nats-Incr", "+")], "10171"),
        (&[("Nats-Incr", "")], "ok"),
        // The order of the checks.
        (&[("Nats-Msg-Id", "two"), ("Nats-Expected-Last-Sequence", "9")], "10071"),
        (&[("Nats-Msg-Id", "two"), ("Nats-Expected-Last-Msg-Id", "one")], "=2"),
        (&[("Nats-TTL", "x"), ("Nats-Msg-Id", "two")], "=2"),
        (&[("Nats-TTL", "x"), ("Nats-Rollup", "x")], "10111"),
        (&[("Nats-Expected-Stream", "X"), ("Nats-Expected-Last-Sequence", "9")], "10060"),
    ] {
        assert_eq!(verdict(&all(), headers), expected, "{headers:?}");
    }
}

#[test]
fn messages_with_new_ids_are_refused_where_no_more_are_known() {
    let decide_with = |message_id| {
        let wishes = Wishes { message_id, ..Wishes::default() };
        decide(&all(), b"t.1", 0, 1, &wishes, &Two { is_full: true }, NOW).map_err(|error| error.err_code)
    };
    assert_eq!(decide_with(Some(b"new")), Err(10023));
    assert_eq!(decide_with(Some(b"two")), Ok(Verdict::Duplicate(2)));
    assert!(matches!(decide_with(None), Ok(Verdict::Store(_))));
}

#[test]
fn what_a_stream_does_not_allow_is_refused() {
    let plain = stream("");
    let schedule = [("Nats-Schedule", "@at 2030-01-01T00:00:00Z"), ("Nats-Schedule-Target", "t.9")];
    for (headers, number) in [
        (&[("Nats-TTL", "5s")][..], "10166"),
        (&[("Nats-TTL", "x")], "10165"),
        (&[("Nats-Rollup", "all")], "10111"),
        (&schedule, "10188"),
    ] {
        assert_eq!(verdict(&plain, headers), number, "{headers:?}");
    }
    assert_eq!(verdict(&stream(r#","max_msg_size":30"#), &[("A", "0123456789012345")]), "10054");
    assert_eq!(verdict(&plain, &[("A", &"x".repeat(64 * 1024))]), "10097");
}

#[test]
fn lifetimes_are_read() {
    for (text, lifetime) in [
        ("1", Some(Lifetime::For(Nanoseconds::from_secs(1)))),
        ("10", Some(Lifetime::For(Nanoseconds::from_secs(10)))),
        ("1.5s", Some(Lifetime::For(Nanoseconds::from_millis(1_500)))),
        ("1h2m", Some(Lifetime::For(Nanoseconds::from_secs(3_720)))),
        ("99999999999", Some(Lifetime::For(Nanoseconds(i64::MAX)))),
        ("never", Some(Lifetime::Never)),
        ("NEVER", Some(Lifetime::Never)),
        ("500ms", None),
        ("0", None),
        ("0s", None),
        ("-1", None),
        ("-1s", None),
        ("x", None),
        ("1d", None),
        ("1s2", None),
        ("s", None),
        (".s", None),
        ("1.2.3s", None),
    ] {
        assert_eq!(Lifetime::parse(text.as_bytes()), lifetime, "{text}");
    }
    assert_eq!(durations::parse("1.000000001s"), Some(Nanoseconds(1_000_000_001)));
    assert_eq!(durations::parse("2µs3ns"), Some(Nanoseconds(2_003)));
    assert_eq!(durations::parse(".5h"), Some(Nanoseconds::from_secs(1_800)));
}

#[test]
fn schedules_say_when_and_where() {
    const AT: (&str, &str) = ("Nats-Schedule", "@at 2030-01-01T00:00:00+01:00");
    const TARGET: (&str, &str) = ("Nats-Schedule-Target", "t.9");
    for (headers, expected) in [
        (&[AT, TARGET][..], "ok"),
        (&[AT, TARGET, ("Nats-Schedule-TTL", "5s")], "ok"),
        (&[AT, TARGET, ("Nats-Rollup", "sub")], "ok"),
        (&[("Nats-Delay", "5s"), TARGET], "ok"),
        (&[AT], "10190"),
        (&[AT, ("Nats-Schedule-Target", "t.1")], "10190"),
        (&[AT, ("Nats-Schedule-Target", "t.*")], "10190"),
        (&[AT, ("Nats-Schedule-Target", "q")], "10190"),
        (&[("Nats-Schedule", "@at x"), TARGET], "10189"),
        (&[("Nats-Schedule", "@AT 2030-01-01T00:00:00Z"), TARGET], "10189"),
        // Not built, though nats-server has them.
        (&[("Nats-Schedule", "@every 5s"), TARGET], "10189"),
        (&[("Nats-Delay", "x"), TARGET], "10189"),
        (&[AT, ("Nats-Delay", "5s"), TARGET], "10189"),
        (&[AT, TARGET, ("Nats-Schedule-TTL", "x")], "10191"),
        // What is not built.
        (&[AT, TARGET, ("Nats-Schedule-Time-Zone", "Europe/Rome")], "10189"),
        (&[AT, TARGET, ("Nats-Schedule-Source", "t.2")], "10203"),
        (&[AT, TARGET, ("Nats-Schedule-Rollup", "sub")], "10192"),
        (&[AT, TARGET, ("Nats-Schedule-Rollup", "")], "ok"),
        (&[("Nats-Schedule-Rollup", "sub"), ("Nats-Schedule-Source", "t.2")], "ok"),
        (&[AT, TARGET, ("Nats-Rollup", "all")], "10192"),
    ] {
        assert_eq!(verdict(&all(), headers), expected, "{headers:?}");
    }
    let wishes = Wishes { delay: Some(b"1500ms"), schedule_target: Some(b"t.9"), ..Wishes::default() };
    let Ok(Verdict::Store(terms)) = decide(&all(), b"t.1", 0, 0, &wishes, &TWO, NOW) else {
        panic!("it is stored")
    };
    let schedule = terms.schedule.expect("it is for later");
    assert_eq!((schedule.at, schedule.target), (NOW + 1_500_000_000, &b"t.9"[..]));
    assert_eq!(terms.rollup, Some(Rollup::Subject), "a schedule takes the place of the one before");
    let at = Time::parse("2029-12-31T23:00:00Z").unwrap().nanoseconds();
    let wishes = Wishes { delay: None, schedule: Some(AT.1.as_bytes()), ..wishes };
    let Ok(Verdict::Store(terms)) = decide(&all(), b"t.1", 0, 0, &wishes, &TWO, NOW) else {
        panic!("it is stored")
    };
    assert_eq!(terms.schedule.expect("it is for later").at, at);
}

#[test]
fn no_headers_make_it_panic() {
    let mut random = crate::random::Random::with_seed(5);
    let names = ["Nats-TTL", "Nats-Delay", "Nats-Schedule", "Nats-Rollup", "Nats-Expected-Last-Sequence"];
    for _ in 0..20_000 {
        let value: Vec<u8> =
            (0..random.below(12)).map(|_| b"@at 0123456789.:-+TZhmsun\xc2\xb5"[random.below(27)]).collect();
        let mut block = b"NATS/1.0\r\n".to_vec();
        for name in names {
            block.extend_from_slice(&[name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        let wishes = Wishes::read(Headers::new(&block).expect("it is a block"));
        let _ = decide(&all(), b"t.1", block.len(), 1, &wishes, &TWO, NOW);
    }
}

#[test]
fn what_was_stored_has_its_terms_whatever_its_stream_allows_by_now() {
    let wishes = [
        Wishes { rollup: Some(b"sub"), lifetime: Some(b"5s"), ..Wishes::default() },
        Wishes { delay: Some(b"1500ms"), schedule_target: Some(b"t.9"), ..Wishes::default() },
        Wishes::default(),
    ];
    for wishes in wishes {
        let decided = decide(&all(), b"t.5", 0, 0, &wishes, &TWO, NOW).expect("it is allowed");
        assert_eq!(decided, Verdict::Store(terms_of(&wishes, NOW)));
    }
}
