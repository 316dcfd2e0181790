//! Requests that are refused by a status of headers, not by JSON.

use quartet::stream::api::{Refusal, Request};

use super::NatsStreams;

/// Subjects and bodies; each is refused before anybody looks for a message.
const REFUSED: &[(&str, &str)] = &[
    ("DIRECT.GET.S", ""),
    ("DIRECT.GET.S", "{}"),
    ("DIRECT.GET.S", "null"),
    ("DIRECT.GET.S", "x"),
    ("DIRECT.GET.S", "[]"),
    ("DIRECT.GET.S", r#"{"zork":1}"#),
    ("DIRECT.GET.S", r#"{"batch":2}"#),
    ("DIRECT.GET.S", r#"{"multi_last":[]}"#),
    ("DIRECT.GET.S", r#"{"seq":"a"}"#),
    ("DIRECT.GET.S", r#"{"seq":1,"last_by_subj":"s.1"}"#),
    ("DIRECT.GET.S", r#"{"seq":1,"start_time":"2020-01-01T00:00:00Z"}"#),
    ("DIRECT.GET.S", r#"{"seq":1,"batch":2,"start_time":"2020-01-01T00:00:00Z"}"#),
    ("DIRECT.GET.S", r#"{"last_by_subj":"s.1","next_by_subj":"s.1"}"#),
    ("DIRECT.GET.S", r#"{"last_by_subj":"s.1","batch":1}"#),
    ("DIRECT.GET.S", r#"{"multi_last":["s.>"],"last_by_subj":"s.1"}"#),
    ("DIRECT.GET.S", r#"{"multi_last":["s.>"],"next_by_subj":"s.1"}"#),
    ("DIRECT.GET.S", r#"{"up_to_seq":4,"up_to_time":"2020-01-01T00:00:00Z","multi_last":["s.>"]}"#),
    ("DIRECT.GET.S.s.1", r#"{"seq":1}"#),
    ("DIRECT.GET.S.s.1", r#"{"last_by_subj":"s.1"}"#),
    ("DIRECT.GET.S.s.1", r#"{"next_by_subj":"s.1"}"#),
    ("DIRECT.GET.S.s.1", r#"{"batch":1}"#),
    ("DIRECT.GET.S.s.1", "x"),
    ("CONSUMER.MSG.NEXT.S.C", r#"{"expires":100000000,"idle_heartbeat":90000000}"#),
    ("CONSUMER.MSG.NEXT.S.C", r#"{"idle_heartbeat":5}"#),
    ("CONSUMER.MSG.NEXT.S.C", r#"{"batch":"a"}"#),
    ("CONSUMER.MSG.NEXT.S.C", r#"{"batch":1.5}"#),
];

#[test]
fn nats_server_refuses_with_the_same_statuses() {
    let Some(mut nats) = NatsStreams::start() else { return };
    nats.ask_json("STREAM.CREATE.S", r#"{"name":"S","subjects":["s.>"],"allow_direct":true}"#);
    nats.ask_json("CONSUMER.CREATE.S.C", r#"{"stream_name":"S","config":{"durable_name":"C"}}"#);
    for (subject, body) in REFUSED {
        let subject = format!("$JS.API.{subject}");
        let ours = Request::parse(subject.as_bytes(), None, body.as_bytes());
        let Err(Refusal::Status(status, description)) = ours.request else {
            panic!("{subject} {body} is not refused: {ours:?}")
        };
        let theirs = nats.ask(&subject, b"", body.as_bytes());
        let theirs = String::from_utf8_lossy(&theirs.headers).replace("of type int\r", "of type int64\r");
        assert_eq!(
            theirs.lines().next(),
            Some(format!("NATS/1.0 {status} {description}").as_str()),
            "{subject} {body}"
        );
    }
}
