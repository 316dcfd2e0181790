//! What is answered by headers, not by JSON: messages as such, and refusals.

use quartet::stream::api::{Refusal, Request, direct};
use quartet::stream::json::Time;
use quartet::stream::message::StoredMessage;
use quartet_protocol::broker::headers::Headers;

use super::NatsStreams;
use crate::support::broker::Delivered;

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

/// The message as it was stored at the time that the answer says.
fn stored<'m>(answer: &Delivered, sequence: u64, headers: &'m [u8], payload: &'m [u8]) -> StoredMessage<'m> {
    let answered = Headers::new(&answer.headers).expect("it is a block");
    let time = answered.get(b"Nats-Time-Stamp").expect("it is told when it was stored");
    let time = Time::parse(&String::from_utf8_lossy(time)).expect("it is a time").nanoseconds();
    StoredMessage { sequence, time, subject: b"s.1", headers, payload }
}

#[track_caller]
fn check(ours: &[u8], theirs: &Delivered) {
    assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(&theirs.headers));
}

#[test]
fn nats_server_tells_the_same_of_messages() {
    let Some(mut nats) = NatsStreams::start() else { return };
    let republish = r#""republish":{"src":">","dest":"again.>","headers_only":true}"#;
    let definition = format!(r#"{{"name":"S","subjects":["s.>"],"allow_direct":true,{republish}}}"#);
    nats.ask_json("STREAM.CREATE.S", &definition);
    nats.ask_json("CONSUMER.CREATE.S.C", r#"{"stream_name":"S","config":{"name":"C","headers_only":true}}"#);
    nats.client.write("SUB again.> 2\r\n");
    nats.client.flush();
    let block = b"NATS/1.0\r\nA: b\r\n\r\n";
    for (sequence, headers) in [(1, &block[..]), (2, b"")] {
        // It has no reply subject, so the next that comes is what is published again.
        let length = headers.len() + 5;
        match headers.len() {
            0 => nats.client.write(format!("PUB s.1 {length}\r\nhello\r\n")),
            of_headers => {
                nats.client.write(format!("HPUB s.1 {of_headers} {length}\r\n"));
                nats.client.write([headers, b"hello\r\n"].concat());
            }
        }
        let again = nats.client.delivered();
        let message = stored(&again, sequence, headers, b"hello");
        check(&direct::republished("S", &message, sequence - 1, true), &again);
        let got = nats.ask("$JS.API.DIRECT.GET.S", b"", format!(r#"{{"seq":{sequence}}}"#).as_bytes());
        check(&direct::got("S", &message), &got);
    }
    let first = nats.ask("$JS.API.DIRECT.GET.S", b"", br#"{"seq":1,"batch":1}"#);
    let message = stored(&first, 1, block, b"hello");
    check(&direct::got_of_several("S", &message, 1, 0), &first);
    check(&direct::end_of_several(1, 1, None), &nats.client.delivered());
    let last = nats.ask("$JS.API.DIRECT.GET.S", b"", br#"{"multi_last":["s.>"]}"#);
    check(&direct::got_of_several("S", &stored(&last, 2, b"", b"hello"), 0, 0), &last);
    check(&direct::end_of_several(0, 2, Some(2)), &nats.client.delivered());
    nats.client.write("PUB $JS.API.CONSUMER.MSG.NEXT.S.C _INBOX.streams.pull 0\r\n\r\n");
    check(&direct::without_payload(&message), &nats.client.delivered());
    check(&direct::status(404, "Message Not Found"), &nats.ask("$JS.API.DIRECT.GET.S", b"", br#"{"seq":9}"#));
}
