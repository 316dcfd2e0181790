//! Definitions of streams: what is filled in, refused, and may change.  `tests/differential` compares the same with nats-server.

use super::{Republish, StreamDefinition, Transform};
use crate::random::Random;

fn checked(document: &str) -> Result<StreamDefinition, String> {
    let told = |error: crate::stream::api::error::ApiError| {
        format!("{}/{} {}", error.code, error.err_code, error.description)
    };
    let (definition, pedantic) = StreamDefinition::read(document.as_bytes()).map_err(told)?;
    definition.checked_for_creation(pedantic).map_err(told)
}

fn echo(definition: &StreamDefinition) -> String {
    serde_json::to_string(definition).expect("tables of values can be written")
}

#[test]
fn all_members_are_filled_in_and_sent_back_in_the_order_of_nats_server() {
    assert_eq!(
        echo(&checked(r#"{"name":"S"}"#).unwrap()),
        r#"{"name":"S","subjects":["S"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none","allow_direct":false,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false}"#
    );
}

#[test]
fn what_clients_send_is_taken() {
    for document in [
        // Go sends every limit as 0, Python -1 or nothing, Rust null.
        r#"{"name":"S","max_consumers":0,"max_msgs":0,"max_bytes":0,"max_age":0,"max_msgs_per_subject":0,"max_msg_size":0,"num_replicas":0,"consumer_limits":{}}"#,
        r#"{"name":"S","max_msgs":-1,"max_bytes":-1,"max_msgs_per_subject":-1,"max_msg_size":-1,"compression":"none"}"#,
        r#"{"name":"S","subjects":null,"consumer_limits":null,"mirror":null,"sources":null,"placement":null,"republish":null,"metadata":null}"#,
        r#"{"name":"S","mirror_direct":false,"allow_atomic":false,"allow_batched":false,"allow_msg_counter":false,"placement":{},"sources":[]}"#,
        r#"{"name":"S","persist_mode":"default"}"#,
        r#"{"name":"S","persist_mode":""}"#,
        r#"{"name":"S","mirror":null,"subject_transform":{}}"#,
        r#"{"name":"S","placement":{"cluster":"","tags":[]},"subject_transform":{"src":"","dest":""}}"#,
    ] {
        assert_eq!(checked(document), checked(r#"{"name":"S"}"#), "{document}");
    }
}

#[test]
fn what_is_not_built_is_refused() {
    for (member, value) in [
        ("mirror", r#"{"name":"X"}"#),
        ("mirror", "{}"),
        ("sources", "[{}]"),
        ("placement", r#"{"cluster":"","tags":["a"]}"#),
        ("sources", r#"[{"name":"X"}]"#),
        ("placement", r#"{"cluster":"c"}"#),
        ("subject_transform", r#"{"src":"a","dest":"b"}"#),
        ("allow_atomic", "true"),
        ("allow_batched", "true"),
        ("allow_msg_counter", "true"),
        ("compression", r#""s2""#),
    ] {
        let refused = format!("500/10052 this server does not support \"{member}\"");
        assert_eq!(checked(&format!(r#"{{"name":"S","{member}":{value}}}"#)), Err(refused));
    }
    let refused = "500/10074 replicas > 1 not supported in non-clustered mode";
    assert_eq!(checked(r#"{"name":"S","num_replicas":3}"#), Err(refused.to_owned()));
}

#[test]
fn the_limits_of_texts_are_exact() {
    let with = |member: &str, value: &str| checked(&format!(r#"{{"name":"S","{member}":{value}}}"#));
    assert!(checked(&format!(r#"{{"name":"{}"}}"#, "n".repeat(255))).is_ok());
    assert!(checked(&format!(r#"{{"name":"{}"}}"#, "n".repeat(256))).is_err());
    assert!(with("description", &format!("{:?}", "d".repeat(4096))).is_ok());
    assert!(with("description", &format!("{:?}", "d".repeat(4097))).is_err());
    let metadata = |length| format!(r#"{{"k":"{}"}}"#, "v".repeat(length));
    assert!(with("metadata", &metadata(128 * 1024 - 1)).is_ok());
    assert!(with("metadata", &metadata(128 * 1024)).is_err());
}

#[test]
fn an_echo_read_again_is_the_same() {
    let parts = [
        r#""subjects":["a.*","b.>"]"#,
        r#""retention":"workqueue""#,
        r#""max_age":60000000000"#,
        r#""max_msgs":5"#,
        r#""max_msgs_per_subject":7"#,
        r#""max_msg_size":100"#,
        r#""discard":"old""#,
        r#""storage":"file""#,
        r#""no_ack":true"#,
        r#""duplicate_window":500000000"#,
        r#""first_seq":4611686018427387904"#,
        r#""republish":{"src":"a.*","dest":"r.$1","headers_only":true}"#,
        r#""allow_direct":true"#,
        r#""deny_delete":true"#,
        r#""consumer_limits":{"max_ack_pending":4,"inactive_threshold":5}"#,
        r#""subject_delete_marker_ttl":1000000000"#,
        r#""allow_msg_schedules":true"#,
        r#""persist_mode":"async""#,
        r#""metadata":{"a":"b","_nats.ver":"2"}"#,
        r#""description":"é \"x\"""#,
    ];
    let mut random = Random::with_seed(7);
    for _ in 0..2_000 {
        let chosen = parts.iter().filter(|_| random.below(3) == 0);
        let document = chosen.fold(r#"{"name":"S""#.to_owned(), |text, part| format!("{text},{part}")) + "}";
        let definition = checked(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
        let text = echo(&definition);
        assert_eq!(checked(&text).as_ref(), Ok(&definition), "{document}");
        assert_eq!(echo(&checked(&text).unwrap()), text);
    }
}

#[test]
fn no_document_makes_it_panic() {
    let whole = echo(
        &checked(r#"{"name":"S","republish":{"dest":"r.{{wildcard(1)}}","src":"a.*"},"metadata":{"a":"b"}}"#)
            .unwrap(),
    );
    let mut random = Random::with_seed(11);
    for _ in 0..20_000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[place] = random.below(256) as u8,
                1 => drop(bytes.drain(place..(place + 1 + random.below(8)).min(bytes.len()))),
                _ => bytes.truncate(place + 1),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        if let Ok((definition, pedantic)) = StreamDefinition::read(&bytes) {
            let _ = definition.checked(pedantic);
        }
    }
}

#[test]
fn a_stream_that_is_created_again_is_the_same_but_for_metadata_of_servers() {
    let one = checked(r#"{"name":"S","metadata":{"a":"b"}}"#).unwrap();
    assert!(one.is_same_as(&checked(r#"{"name":"S","metadata":{"a":"b","_nats.ver":"2.15.1"}}"#).unwrap()));
    assert!(!one.is_same_as(&checked(r#"{"name":"S"}"#).unwrap()));
    assert!(!one.is_same_as(&checked(r#"{"name":"S","metadata":{"a":"b"},"max_msgs":4}"#).unwrap()));
}

#[test]
fn streams_collide_where_a_message_could_be_on_both() {
    let with = |subjects: &str| checked(&format!(r#"{{"name":"S","subjects":[{subjects}]}}"#)).unwrap();
    for (one, other, collide) in [
        (r#""a.b""#, r#""a.*""#, true),
        (r#""a.*.c""#, r#""a.b.*""#, true),
        (r#""a.*""#, r#""a.b.c""#, false),
        (r#""a","b""#, r#""c","b""#, true),
        (r#""a.>""#, r#""a""#, false),
    ] {
        assert_eq!(with(one).collides(&with(other)), collide, "{one} {other}");
        assert_eq!(with(other).collides(&with(one)), collide, "{one} {other}");
    }
}

#[test]
fn subjects_are_transformed() {
    for (source, destination, subject, result) in [
        (">", "r.>", "a.b", Some("r.a.b")),
        ("a.>", "r.>", "a.b.c", Some("r.b.c")),
        ("a.>", "r.>", "b.c", None),
        ("a.*.*", "r.{{wildcard(2)}}.$1", "a.x.y", Some("r.y.x")),
        ("a.*", "r", "a.x", Some("r")),
        // As nats-server counts them.
        ("a.*.*", "r.{{partition(10,1)}}.{{ Partition(7, 1, 2) }}", "a.x.y", Some("r.5.4")),
        ("a.*.*", "r.{{partition(10,1)}}.{{partition(7,1,2)}}", "a.orders.77", Some("r.0.3")),
    ] {
        let transform = Transform::new(source, destination).expect(destination);
        let result = result.map(|result| result.as_bytes().to_vec());
        assert_eq!(transform.apply(subject.as_bytes()), result, "{source} {destination} {subject}");
    }
    for (source, destination) in [
        ("a.*", "r.{{wildcard(2)}}"),
        ("a.*", "r.{{wildcard(0)}}"),
        ("a.*", "r.$2"),
        ("a.*", "r.*"),
        ("a.>", "r"),
        ("a", "r.>"),
        ("a.>", "r.>.s"),
        ("a..b", "r"),
        ("a", "r..s"),
        ("a.*", "r.{{partition(0,1)}}"),
        ("a.*", "r.{{split(1,-)}}"),
    ] {
        assert!(Transform::new(source, destination).is_err(), "{source} {destination}");
    }
    assert_eq!(Republish::default().transform(), Ok(None));
}

#[test]
fn sequences_never_come_to_an_end() {
    let checked = |first: u64| {
        let text = format!(r#"{{"name":"s","subjects":["a"],"first_seq":{first}}}"#);
        let (definition, _) = StreamDefinition::read(text.as_bytes()).expect("it is a definition");
        definition.checked_for_creation(false).map(|definition| definition.first_sequence)
    };
    assert_eq!(checked(1 << 62), Ok(1 << 62));
    assert!(checked((1 << 62) + 1).is_err());
}
