//! Definitions of consumers: what is filled in, refused, and may change.  `tests/differential` compares the same with nats-server.

use super::{ConsumerDefinition, DEAD_LETTER_SUBJECT, DeliverInterest, StreamDefinition};
use crate::stream::json::{Nanoseconds, read_document};

fn stream(members: &str) -> StreamDefinition {
    let document = format!(r#"{{"name":"S","subjects":["s.>"]{members}}}"#);
    let (stream, _) = StreamDefinition::read(document.as_bytes()).expect("it is a stream");
    stream.checked(false).expect("it is a stream")
}

fn checked_in(stream: &StreamDefinition, document: &str) -> Result<ConsumerDefinition, String> {
    let mut definition = ConsumerDefinition::default();
    read_document(&mut definition, &mut [], document.as_bytes())
        .and_then(|()| definition.checked(stream, false))
        .map(|definition| definition.with_end(None))
        .map_err(|error| format!("{} {}", error.err_code, error.description))
}

fn checked(document: &str) -> Result<ConsumerDefinition, String> {
    checked_in(&stream(""), document)
}

fn echo(definition: &ConsumerDefinition) -> String {
    serde_json::to_string(definition).expect("tables of values can be written")
}

#[test]
fn all_members_are_filled_in_and_sent_back_in_the_order_of_nats_server() {
    assert_eq!(
        echo(&checked("{}").unwrap()),
        r#"{"deliver_policy":"all","ack_policy":"none","max_deliver":-1,"replay_policy":"instant","max_waiting":512,"inactive_threshold":5000000000,"num_replicas":0}"#
    );
    assert_eq!(
        echo(&checked(r#"{"durable_name":"C","ack_policy":"explicit","backoff":[1,2]}"#).unwrap()),
        r#"{"durable_name":"C","deliver_policy":"all","ack_policy":"explicit","ack_wait":1,"max_deliver":-1,"backoff":[1,2],"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,"num_replicas":0}"#
    );
}

#[test]
fn an_echo_read_again_is_the_same() {
    let parts = [
        r#""durable_name":"C""#,
        r#""name":"C""#,
        r#""ack_policy":"all""#,
        r#""ack_wait":7"#,
        r#""max_deliver":5"#,
        r#""backoff":[1,2,3]"#,
        r#""filter_subjects":["s.a","s.b.*"]"#,
        r#""replay_policy":"original""#,
        r#""sample_freq":"30%""#,
        r#""max_ack_pending":-1"#,
        r#""headers_only":true"#,
        r#""max_batch":4"#,
        r#""max_expires":1000000"#,
        r#""inactive_threshold":9"#,
        r#""num_replicas":1"#,
        r#""mem_storage":true"#,
        r#""deliver_policy":"by_start_time","opt_start_time":"2026-01-01T01:00:00.123+01:00""#,
        r#""priority_groups":["a"],"priority_policy":"pinned_client""#,
        r#""pause_until":"2030-01-01T00:00:00+01:00""#,
        r#""metadata":{"quartet.dead-letter-subject":"dead"}"#,
    ];
    let mut random = crate::random::Random::with_seed(3);
    for _ in 0..2_000 {
        let chosen: Vec<&str> = parts.into_iter().filter(|_| random.below(3) == 0).collect();
        let document = format!("{{{}}}", chosen.join(","));
        let definition = checked(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
        let text = echo(&definition);
        assert_eq!(checked(&text).as_ref(), Ok(&definition), "{document}");
        assert_eq!(echo(&checked(&text).unwrap()), text);
    }
}

#[test]
fn a_dead_letter_subject_is_literal_and_does_not_come_back() {
    let with = |subject: &str, filter: &str| {
        checked(&format!(
            r#"{{"filter_subject":"{filter}","metadata":{{"{DEAD_LETTER_SUBJECT}":"{subject}"}}}}"#
        ))
    };
    assert_eq!(with("dead.letters", "s.a").unwrap().dead_letter_subject(), Some("dead.letters"));
    // Another subject of the same stream is fine if the consumer does not want it.
    assert!(with("s.dead", "s.a").is_ok());
    for (subject, filter) in [
        ("", "s.a"),
        ("a.*", "s.a"),
        ("a..b", "s.a"),
        ("$JS.x", "s.a"),
        ("_INBOX.x", "s.a"),
        ("s.a", "s.*"),
        ("s.a", ""),
    ] {
        assert!(with(subject, filter).is_err(), "{subject} {filter}");
    }
}

#[test]
fn what_is_not_built_is_refused() {
    assert_eq!(
        checked(r#"{"direct":true}"#),
        Err("10052 this server does not support \"direct\"".to_owned())
    );
    assert!(checked(r#"{"direct":false,"sourcing":null}"#).is_ok());
    assert_eq!(
        checked(r#"{"ack_policy":"flow_control"}"#),
        Err(r#"10025 invalid JSON: can not unmarshal "\"flow_control\"""#.to_owned())
    );
    assert_eq!(
        checked(r#"{"num_replicas":3}"#),
        Err("10074 replicas > 1 not supported in non-clustered mode".to_owned())
    );
}

#[test]
fn an_acknowledgement_is_waited_for_as_long_as_the_backoff_says() {
    let definition = checked(r#"{"ack_policy":"explicit","backoff":[1,2,3]}"#).unwrap();
    let waits: Vec<i64> =
        (0..6).map(|deliveries| definition.acknowledgement_wait_after(deliveries).0).collect();
    assert_eq!(waits, [1, 1, 2, 3, 3, 3]);
    let plain = checked(r#"{"ack_policy":"explicit"}"#).unwrap();
    assert_eq!(plain.acknowledgement_wait_after(9), Nanoseconds::from_secs(30));
}

#[test]
fn a_work_queue_has_one_consumer_for_each_message() {
    let queue = stream(r#","retention":"workqueue""#);
    let with = |filter: &str| {
        checked_in(&queue, &format!(r#"{{"ack_policy":"explicit","filter_subject":"{filter}"}}"#)).unwrap()
    };
    let number = |result: Result<(), crate::stream::api::error::ApiError>| {
        result.map_err(|error| error.err_code).err().unwrap_or_default()
    };
    let (all, a, b, any) = (with(""), with("s.a"), with("s.b"), with("s.*"));
    assert_eq!(number(a.check_beside(&queue, [])), 0);
    assert_eq!(number(b.check_beside(&queue, [&a])), 0);
    assert_eq!(number(any.check_beside(&queue, [&a, &b])), 10100);
    assert_eq!(number(all.check_beside(&queue, [&a])), 10099);
    assert_eq!(number(a.check_beside(&queue, [&all])), 10100);
    assert!(a.updated(any.clone(), DeliverInterest::Unbound, &queue, [&b]).is_err());
    assert!(a.updated(any, DeliverInterest::Unbound, &queue, []).is_ok());
}

#[test]
fn a_stream_has_so_many_consumers() {
    let two = stream(r#","max_consumers":2"#);
    let one = checked("{}").unwrap();
    assert!(one.check_beside(&two, [&one]).is_ok());
    assert_eq!(one.check_beside(&two, [&one, &one]).unwrap_err().err_code, 10026);
}

#[test]
fn a_push_consumer_in_use_is_not_taken_over() {
    let (stream, old) = (stream(""), checked(r#"{"deliver_subject":"d"}"#).unwrap());
    let new = checked(r#"{"deliver_subject":"e"}"#).unwrap();
    let update = |interest| old.updated(new.clone(), interest, &stream, []).map_err(|error| error.err_code);
    assert_eq!(update(DeliverInterest::Bound), Err(10013));
    assert_eq!(update(DeliverInterest::Unbound), Ok(new.clone()));
    assert!(old.updated(old.clone(), DeliverInterest::Bound, &stream, []).is_ok());
}

#[test]
fn an_update_that_names_no_durable_consumer_keeps_it() {
    let durable = checked(r#"{"durable_name":"C","ack_policy":"explicit"}"#).unwrap();
    let update = |former: &ConsumerDefinition, document: &str| {
        let mut definition = ConsumerDefinition::default();
        read_document(&mut definition, &mut [], document.as_bytes()).expect("it is a definition");
        let definition = definition.checked(&stream(""), false).expect("it is one");
        definition.with_end(Some(former)).inactive_threshold
    };
    let plain = r#"{"name":"C","ack_policy":"explicit"}"#;
    assert_eq!(update(&durable, plain), Nanoseconds::ZERO);
    let mut ending = durable.clone();
    ending.inactive_threshold = Nanoseconds::from_secs(60);
    assert_eq!(update(&ending, plain), Nanoseconds::ZERO, "it was durable all the same");
    let mut kept = durable.clone();
    kept.durable_name.clear();
    assert_eq!(update(&kept, plain), Nanoseconds::ZERO, "nor does the update after it end the consumer");
    let asked = r#"{"name":"C","ack_policy":"explicit","inactive_threshold":7000000000}"#;
    assert_eq!(update(&durable, asked), Nanoseconds::from_secs(7));
    assert_eq!(update(&checked(plain).unwrap(), plain), Nanoseconds::from_secs(5));
}
