//! Requests are read as nats-server reads them; `tests/differential` compares the same with it.

use std::collections::HashSet;

use quartet_protocol::broker::headers::{HeaderBlock, Headers};

use super::bodies::{Action, Purge, PurgeExtent};
use super::error;
use super::get::{DirectGet, MessageGet, Start, UpTo};
use super::pull::Pull;
use super::reply::{self, Page};
use super::subjects::{Address, Operation, TABLE};
use super::{Refusal, Request};
use crate::stream::definition::StreamDefinition;
use crate::stream::json::{Nanoseconds, Time};

fn parse(subject: &str, body: &str) -> Result<Request, Refusal> {
    Request::parse(format!("$JS.API.{subject}").as_bytes(), None, body.as_bytes()).request
}

fn number(subject: &str, body: &str) -> u16 {
    match parse(subject, body) {
        Ok(_) => 0,
        Err(Refusal::Error(error)) => error.err_code,
        Err(Refusal::Status(status, _)) => status,
        Err(Refusal::NoResponders) => 503,
    }
}

#[test]
fn errors_have_places_and_are_listed_once() {
    let mut seen = HashSet::new();
    for known in error::ALL {
        assert!(seen.insert((known.code, known.number)), "{known:?} is there twice");
        assert!(known.text.matches('{').count() <= 1, "{known:?}");
    }
    assert_eq!(error::SEQUENCE_NOT_FOUND.with(7).description, "sequence 7 not found");
    assert_eq!(error::STREAM_NOT_FOUND.error().to_string(), "stream not found");
}

#[test]
fn each_row_is_found_by_its_own_subject() {
    for row in TABLE {
        let subject =
            row.pattern.replacen('*', "Strom", 1).replacen('*', "Abnehmer", 1).replace('>', "a.b.>");
        let address = format!("$JS.API.{subject}");
        let address = Address::parse(address.as_bytes()).unwrap_or_else(|| panic!("{subject}"));
        assert_eq!(address.row.pattern, row.pattern, "{subject}");
        let names = row.pattern.matches('*').count();
        assert_eq!(address.stream, if names > 0 { "Strom" } else { "" }, "{subject}");
        assert_eq!(address.consumer, if names > 1 { "Abnehmer" } else { "" }, "{subject}");
        assert_eq!(address.rest, if row.pattern.ends_with('>') { "a.b.>" } else { "" }, "{subject}");
    }
    for subject in [
        "",
        "STREAM",
        "STREAM.INFO",
        "STREAM.INFO.",
        "STREAM.INFO.S.T",
        "STREAM.NAMES.S",
        "INFO.x",
        "STREAM.ZORK.S",
        "CONSUMER.CREATE.S.",
        "CONSUMER.CREATE..C",
        "CONSUMER.CREATE.S.C.",
        "DIRECT.GET",
        "stream.names",
        "STREAM.MSG.GET",
    ] {
        assert!(Address::parse(format!("$JS.API.{subject}").as_bytes()).is_none(), "{subject}");
        assert_eq!(parse(subject, ""), Err(error::UNKNOWN_REQUEST.into()), "{subject}");
    }
    assert!(Address::parse(b"$JS.API.STREAM.INFO.\xff").is_none());
    assert!(Address::parse(b"$JS.APIX").is_none());
}

#[test]
fn streams_are_created_by_the_name_in_the_subject() {
    let Ok(Request::StreamCreate { definition, pedantic }) =
        parse("STREAM.CREATE.S", r#"{"name":"S","pedantic":true}"#)
    else {
        panic!("it is read")
    };
    assert_eq!((definition.name.as_str(), pedantic), ("S", true));
    for (subject, body, expected) in [
        ("STREAM.CREATE.S", "", 10056),
        ("STREAM.CREATE.S", "null", 10056),
        ("STREAM.CREATE.S", "{}", 10056),
        ("STREAM.CREATE.S", "[]", 10025),
        ("STREAM.CREATE.S", "5", 10025),
        ("STREAM.CREATE.S", r#"{"name":"T"}"#, 10056),
        ("STREAM.CREATE.S/a", r#"{"name":"S/a"}"#, 10128),
        ("STREAM.UPDATE.S", r#"{"name":"T"}"#, 10056),
        ("STREAM.UPDATE.S", r#"{"name":"S","zork":1}"#, 10025),
    ] {
        assert_eq!(number(subject, body), expected, "{subject} {body}");
    }
}

#[test]
fn bodies_may_be_left_out_where_nats_server_lets_them() {
    for body in ["", "null", "{}", "x", "5"] {
        assert!(
            matches!(parse("STREAM.INFO.S", body), Ok(Request::StreamInfo { subjects: None, .. })),
            "{body}"
        );
        assert!(matches!(parse("STREAM.NAMES", body), Ok(Request::StreamNames { .. })), "{body}");
        assert!(
            matches!(parse("CONSUMER.LIST.S", body), Ok(Request::ConsumerList { offset: 0, .. })),
            "{body}"
        );
        assert!(matches!(parse("STREAM.PURGE.S", body), Ok(Request::StreamPurge { .. })), "{body}");
    }
    for body in ["", "[]", "{}", "null", "x"] {
        assert_eq!(parse("INFO", body), Ok(Request::AccountInfo), "{body}");
    }
    for subject in ["STREAM.INFO.S", "STREAM.NAMES", "STREAM.LIST", "CONSUMER.NAMES.S", "STREAM.PURGE.S"] {
        assert_eq!(number(subject, "[]"), 10025, "{subject}");
        assert_eq!(number(subject, r#"{"zork":1}"#), 10025, "{subject}");
    }
    for subject in ["STREAM.DELETE.S", "CONSUMER.INFO.S.C", "CONSUMER.DELETE.S.C"] {
        assert_eq!(number(subject, "{}"), 0, "{subject}");
        assert_eq!(number(subject, "x"), 10038, "{subject}");
    }
}

#[test]
fn streams_are_asked_about() {
    let info = |deleted_details, subjects: Option<(&str, usize)>| Request::StreamInfo {
        stream: "S".to_owned(),
        deleted_details,
        subjects: subjects.map(|(filter, offset)| (filter.to_owned(), offset)),
    };
    let body = r#"{"offset":4,"deleted_details":true,"subjects_filter":">"}"#;
    assert_eq!(parse("STREAM.INFO.S", body), Ok(info(true, Some((">", 4)))));
    assert_eq!(parse("STREAM.INFO.S", r#"{"subjects_filter":null,"offset":-1}"#), Ok(info(false, None)));
    let Ok(Request::StreamNames { list }) = parse("STREAM.NAMES", r#"{"subject":null,"offset":-2}"#) else {
        panic!()
    };
    assert_eq!((list.offset, list.subject), (0, None));
    let Ok(Request::StreamList { list }) = parse("STREAM.LIST", r#"{"subject":"$KV.*.>","offset":2}"#) else {
        panic!()
    };
    assert_eq!((list.offset, list.subject.as_deref()), (2, Some("$KV.*.>")));
}

#[test]
fn messages_are_purged_and_deleted() {
    let purge = |filter: Option<&str>, extent| {
        Ok(Request::StreamPurge {
            stream: "S".to_owned(),
            purge: Purge { filter: filter.map(str::to_owned), extent },
        })
    };
    assert_eq!(parse("STREAM.PURGE.S", ""), purge(None, PurgeExtent::All));
    assert_eq!(parse("STREAM.PURGE.S", r#"{"filter":"a","keep":1}"#), purge(Some("a"), PurgeExtent::Keep(1)));
    assert_eq!(parse("STREAM.PURGE.S", r#"{"seq":9}"#), purge(None, PurgeExtent::Before(9)));
    assert_eq!(number("STREAM.PURGE.S", r#"{"seq":1,"keep":1}"#), 10003);
    assert_eq!(number("STREAM.PURGE.S", r#"{"keep":-1}"#), 10025);
    let delete = Ok(Request::MessageDelete { stream: "S".to_owned(), sequence: 3 });
    assert_eq!(parse("STREAM.MSG.DELETE.S", r#"{"seq":3,"no_erase":true}"#), delete);
    assert_eq!(number("STREAM.MSG.DELETE.S", ""), 10003);
}

#[test]
fn messages_are_got() {
    let next = |start, subject: Option<&str>| MessageGet::Next(start, subject.map(str::to_owned));
    for (body, message) in [
        (r#"{"seq":4}"#, MessageGet::At(4)),
        (r#"{"last_by_subj":"a.*"}"#, MessageGet::Last("a.*".to_owned())),
        (r#"{"seq":4,"next_by_subj":"a"}"#, next(Start::Sequence(4), Some("a"))),
        (r#"{"next_by_subj":"a"}"#, next(Start::Sequence(0), Some("a"))),
        (r#"{"start_time":"1970-01-01T00:00:01Z"}"#, next(Start::Time(1_000_000_000), None)),
    ] {
        let expected =
            Ok(Request::MessageGet { stream: "S".to_owned(), message: message.clone(), no_headers: false });
        assert_eq!(parse("STREAM.MSG.GET.S", body), expected, "{body}");
        let get = DirectGet::One(message);
        let expected = Ok(Request::DirectGet { stream: "S".to_owned(), get, no_headers: false });
        assert_eq!(parse("DIRECT.GET.S", body), expected, "{body}");
    }
    for body in [
        "",
        "{}",
        "null",
        r#"{"seq":0}"#,
        r#"{"seq":1,"last_by_subj":"a"}"#,
        r#"{"seq":1,"batch":3}"#,
        r#"{"multi_last":["a"]}"#,
    ] {
        assert_eq!(number("STREAM.MSG.GET.S", body), 10003, "{body}");
    }
}

#[test]
fn messages_are_got_as_such() {
    let direct = |get, no_headers| Ok(Request::DirectGet { stream: "S".to_owned(), get, no_headers });
    let batch = DirectGet::Batch { start: Start::Sequence(1), subject: None, batch: 2, max_bytes: 9 };
    assert_eq!(
        parse("DIRECT.GET.S", r#"{"seq":1,"batch":2,"max_bytes":9,"no_hdr":true}"#),
        direct(batch, true)
    );
    // Negative limits leave nothing, and one message.
    let none = DirectGet::Batch { start: Start::Sequence(1), subject: None, batch: 0, max_bytes: 1 };
    assert_eq!(parse("DIRECT.GET.S", r#"{"seq":1,"batch":-1,"max_bytes":-1}"#), direct(none, false));
    let last = |up_to| DirectGet::LastOfEach {
        subjects: vec!["a.>".to_owned()],
        up_to,
        from: 0,
        batch: 0,
        max_bytes: 0,
    };
    assert_eq!(parse("DIRECT.GET.S", r#"{"multi_last":["a.>"]}"#), direct(last(UpTo::Now), false));
    let body = r#"{"multi_last":["a.>"],"start_time":"2020-01-01T00:00:00Z"}"#;
    assert_eq!(parse("DIRECT.GET.S", body), direct(last(UpTo::Now), false));
    let body = r#"{"multi_last":["a.>"],"up_to_seq":5,"zork":1}"#;
    assert_eq!(parse("DIRECT.GET.S", body), direct(last(UpTo::Sequence(5)), false));
    let one = DirectGet::One(MessageGet::Last("$KV.a.b".to_owned()));
    assert_eq!(parse("DIRECT.GET.S.$KV.a.b", ""), direct(one.clone(), false));
    assert_eq!(parse("DIRECT.GET.S.$KV.a.b", "{}"), direct(one, false));
    for (subject, body, description) in [
        ("DIRECT.GET.S", "", "Empty Request"),
        ("DIRECT.GET.S", "{}", "Empty Request"),
        ("DIRECT.GET.S", "null", "Empty Request"),
        ("DIRECT.GET.S", r#"{"batch":2}"#, "Empty Request"),
        ("DIRECT.GET.S", r#"{"multi_last":[]}"#, "Empty Request"),
        ("DIRECT.GET.S", "x", "Malformed Request"),
        ("DIRECT.GET.S", "[]", "Malformed Request"),
        ("DIRECT.GET.S", r#"{"seq":"a"}"#, "Malformed Request"),
        ("DIRECT.GET.S", r#"{"seq":1,"last_by_subj":"a"}"#, "Bad Request"),
        ("DIRECT.GET.S", r#"{"last_by_subj":"a","next_by_subj":"a"}"#, "Bad Request"),
        ("DIRECT.GET.S", r#"{"last_by_subj":"a","batch":1}"#, "Bad Request"),
        ("DIRECT.GET.S", r#"{"multi_last":["a"],"next_by_subj":"a"}"#, "Bad Request"),
        ("DIRECT.GET.S", r#"{"start_time":"2020-01-01T00:00:00Z","seq":1}"#, "Bad Request"),
        ("DIRECT.GET.S.a", r#"{"seq":1}"#, "Bad Request"),
        ("DIRECT.GET.S.a", "x", "Malformed Request"),
    ] {
        let refused = Refusal::Status(408, description.to_owned());
        assert_eq!(parse(subject, body), Err(refused), "{subject} {body}");
    }
}

#[test]
fn consumers_are_named_by_subject_or_body() {
    for (subject, config, expected) in [
        ("CONSUMER.CREATE.S", "{}", Ok(("", ""))),
        ("CONSUMER.CREATE.S", r#"{"name":"E"}"#, Ok(("E", ""))),
        ("CONSUMER.CREATE.S", r#"{"durable_name":"E"}"#, Err(10020)),
        ("CONSUMER.CREATE.S.F", "{}", Ok(("F", ""))),
        ("CONSUMER.CREATE.S.F", r#"{"name":"G"}"#, Ok(("F", ""))),
        ("CONSUMER.CREATE.S.F", r#"{"durable_name":"F"}"#, Ok(("F", ""))),
        ("CONSUMER.CREATE.S.F.a.>", r#"{"filter_subject":"a.>"}"#, Ok(("F", "a.>"))),
        ("CONSUMER.CREATE.S.F.a.>", r#"{"filter_subject":"a.b"}"#, Err(10131)),
        ("CONSUMER.CREATE.S.F.a", "{}", Err(10131)),
        ("CONSUMER.CREATE.S.F.a", r#"{"filter_subjects":["a"]}"#, Err(10137)),
        ("CONSUMER.CREATE.S.a/b", "{}", Err(10127)),
        ("CONSUMER.DURABLE.CREATE.S.H", r#"{"durable_name":"H"}"#, Ok(("H", ""))),
        ("CONSUMER.DURABLE.CREATE.S.H", r#"{"name":"H"}"#, Err(10018)),
        ("CONSUMER.DURABLE.CREATE.S.H", r#"{"durable_name":"I"}"#, Err(10017)),
        ("CONSUMER.CREATE.T", "{}", Err(10056)),
    ] {
        let body = format!(r#"{{"stream_name":"S","config":{config},"action":"create","pedantic":false}}"#);
        let found = match parse(subject, &body) {
            Ok(Request::ConsumerCreate { stream, definition, action, pedantic }) => {
                assert_eq!((stream.as_str(), action, pedantic), ("S", Action::Create, false));
                Ok((definition.name, definition.filter_subject))
            }
            Err(Refusal::Error(error)) => Err(error.err_code),
            other => panic!("{subject} {config}: {other:?}"),
        };
        let expected = expected.map(|(name, filter)| (name.to_owned(), filter.to_owned()));
        assert_eq!(found, expected, "{subject} {config}");
    }
    assert_eq!(number("CONSUMER.CREATE.S", r#"{"stream_name":"S","action":"zork"}"#), 10025);
    assert_eq!(number("CONSUMER.CREATE.S", ""), 10056);
}

#[test]
fn pulls_are_read() {
    let one = Pull { batch: 1, ..Pull::default() };
    let null = r#"{"batch":1,"group":null,"min_pending":null,"min_ack_pending":null,"priority":null,"max_bytes":0,"zork":1}"#;
    for body in ["", "x", "0", "-1", "[]", "null", r#"{"batch":-1}"#, r#"{"batch":0}"#, null] {
        assert_eq!(Pull::parse(body.as_bytes()), Ok(one.clone()), "{body}");
    }
    assert_eq!(Pull::parse(b"5 "), Ok(Pull { batch: 5, ..one.clone() }));
    let expired = Pull { expires: Nanoseconds(-5), ..one.clone() };
    assert_eq!(Pull::parse(br#"{"batch":1,"expires":-5}"#), Ok(expired));
    let body = br#"{"batch":1000000,"expires":100,"idle_heartbeat":50,"no_wait":true,"max_bytes":7,"group":"g","id":"p"}"#;
    let whole = Pull {
        batch: 1_000_000,
        expires: Nanoseconds(100),
        idle_heartbeat: Nanoseconds(50),
        no_wait: true,
        max_bytes: 7,
        group: "g".to_owned(),
        pin: "p".to_owned(),
        ..one
    };
    assert_eq!(Pull::parse(body), Ok(whole));
    for (body, description) in [
        (r#"{"expires":100,"idle_heartbeat":51}"#, "Bad Request - heartbeat value too large"),
        (r#"{"idle_heartbeat":5}"#, "Bad Request - heartbeat value too large"),
        (
            r#"{"batch":"a"}"#,
            "Bad Request - json: cannot unmarshal string into Go struct field .batch of type int64",
        ),
    ] {
        assert_eq!(Pull::parse(body.as_bytes()), Err(Refusal::Status(400, description.to_owned())), "{body}");
    }
}

#[test]
fn consumers_are_paused() {
    let until = |body| match parse("CONSUMER.PAUSE.S.C", body) {
        Ok(Request::ConsumerPause { until, .. }) => until.map(Time::nanoseconds),
        other => panic!("{body}: {other:?}"),
    };
    for body in ["", "{}", "null", r#"{"pause_until":null}"#, r#"{"pause_until":"0001-01-01T00:00:00Z"}"#] {
        assert_eq!(until(body), None, "{body}");
    }
    assert_eq!(until(r#"{"pause_until":"1970-01-01T00:00:00Z"}"#), Some(0));
    assert_eq!(number("CONSUMER.PAUSE.S.C", r#"{"pause_until":5}"#), 10025);
}

#[test]
fn a_client_may_need_a_level() {
    for (level, is_enough) in [("", true), ("0", true), ("1", true), ("-1", true), ("2", false), ("x", false)]
    {
        let mut block = HeaderBlock::new();
        block.push(b"Nats-Required-Api-Level", level.as_bytes()).unwrap();
        let block = block.finish();
        let headers = Headers::new(&block);
        let asked = Request::parse(b"$JS.API.STREAM.NAMES", headers, b"");
        assert_eq!(asked.request.is_ok(), is_enough, "{level}");
        let pull = Request::parse(b"$JS.API.CONSUMER.MSG.NEXT.S.C", headers, b"");
        let refused = Refusal::Status(412, "Required Api Level".to_owned());
        assert_eq!(pull.request.err(), (!is_enough).then_some(refused), "{level}");
    }
}

#[test]
fn what_only_clusters_do_is_refused() {
    for row in TABLE.iter().filter(|row| row.operation == Operation::OfClusters) {
        let subject = row.pattern.replace('*', "x");
        assert_eq!(number(&subject, ""), 10010, "{subject}");
    }
}

#[test]
fn replies_are_written_as_strict_clients_want_them() {
    let row = |operation| TABLE.iter().find(|row| row.operation == operation).expect("it has a row");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    let error = error::STREAM_NOT_FOUND.error();
    assert_eq!(
        text(reply::refusal(row(Operation::StreamNames), &error)),
        r#"{"type":"io.nats.jetstream.api.v1.stream_names_response","error":{"code":404,"err_code":10059,"description":"stream not found"},"total":0,"offset":0,"limit":0,"streams":null}"#
    );
    let (page, range) = Page::of(1, 7, reply::NAMES_MAX);
    assert_eq!(range, 1..1);
    assert_eq!(
        text(reply::reply(row(Operation::StreamNames), &reply::StreamNames { page, streams: Vec::new() })),
        r#"{"type":"io.nats.jetstream.api.v1.stream_names_response","total":1,"offset":1,"limit":1024,"streams":null}"#
    );
    let (definition, _) = StreamDefinition::read(br#"{"name":"S"}"#).unwrap();
    let config = definition.checked(false).unwrap();
    let time = Time::from_nanoseconds(1_500_000_000);
    let info =
        reply::StreamInfo { config: &config, created: time, state: &reply::StreamState::default(), ts: time };
    let created = reply::StreamCreated { info, did_create: true };
    let written = text(reply::reply(row(Operation::StreamCreate), &created));
    assert!(written.starts_with(r#"{"type":"io.nats.jetstream.api.v1.stream_create_response","config":{"name":"S","subjects":["S"],"#), "{written}");
    assert!(written.ends_with(r#","allow_msg_ttl":false},"created":"1970-01-01T00:00:01.5Z","state":{"messages":0,"bytes":0,"first_seq":0,"first_ts":"0001-01-01T00:00:00Z","last_seq":0,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0},"ts":"1970-01-01T00:00:01.5Z","did_create":true}"#), "{written}");
    let message = reply::MessageBody { subject: "a", seq: 1, hdrs: b"", data: b"hello", time };
    assert_eq!(
        text(reply::reply(row(Operation::MessageGet), &reply::MessageGot { message })),
        r#"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"a","seq":1,"data":"aGVsbG8=","time":"1970-01-01T00:00:01.5Z"}}"#
    );
    assert_eq!(
        text(reply::reply(row(Operation::ConsumerUnpin), &reply::Unpinned {})),
        r#"{"type":"io.nats.jetstream.api.v1.consumer_unpin_response"}"#
    );
}

#[test]
fn pages_are_parts_of_lists() {
    let page = |total, offset, limit| Page { total, offset, limit };
    assert_eq!(Page::of(600, 0, 256), (page(600, 0, 256), 0..256));
    assert_eq!(Page::of(600, 512, 256), (page(600, 512, 256), 512..600));
    assert_eq!(Page::of(600, 900, 256), (page(600, 600, 256), 600..600));
    assert_eq!(Page::of(0, 0, 256), (page(0, 0, 256), 0..0));
}

#[test]
fn publishers_are_answered_as_nats_server_writes_it() {
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    assert_eq!(text(reply::publish_acknowledgement("S", 12, false)), r#"{"stream":"S","seq":12}"#);
    assert_eq!(
        text(reply::publish_acknowledgement("S", 2, true)),
        r#"{"stream":"S","seq":2,"duplicate": true}"#
    );
    assert_eq!(
        text(reply::publish_refusal("S", &error::WRONG_LAST_SEQUENCE.with(4))),
        r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"},"stream":"S","seq":0}"#
    );
}

#[test]
fn no_request_makes_it_panic() {
    let bodies = [
        r#"{"stream_name":"S","config":{"durable_name":"C","backoff":[1],"filter_subjects":["a"]},"action":""}"#,
        r#"{"seq":1,"batch":2,"multi_last":["a.>"],"start_time":"2020-01-01T00:00:00Z","up_to_time":"2020-01-01T00:00:00.5+01:00"}"#,
        r#"{"name":"S","subjects":["a.>"],"max_age":100000000}"#,
        r#"{"batch":5,"expires":5000000000,"idle_heartbeat":1000000,"group":"g"}"#,
    ];
    let mut random = crate::random::Random::with_seed(9);
    for _ in 0..30_000 {
        let row = &TABLE[random.below(TABLE.len())];
        let mut subject = format!("$JS.API.{}", row.pattern.replace('*', "S")).into_bytes();
        let mut body = bodies[random.below(bodies.len())].as_bytes().to_vec();
        for bytes in [&mut subject, &mut body] {
            for _ in 0..random.below(3) {
                let place = random.below(bytes.len());
                match random.below(2) {
                    0 => bytes[place] = random.below(256) as u8,
                    _ => bytes.truncate(place + 1),
                }
            }
        }
        let _ = Request::parse(&subject, None, &body);
    }
}
