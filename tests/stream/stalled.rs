//! A disk that takes nothing: what waits for it has a limit, beyond which publishers are refused, and streams in memory go on.

use quartet::delivery::Effects;
use quartet::stream::{Incoming, Publisher};

use crate::support::kept_streams::KeptStreams;

/// The most changes of one stream that wait, and bytes of messages, of one stream and of all.
const CHANGES_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;

const PIECE: usize = 1 << 20;

/// Publishes without a reply.
fn put(kept: &KeptStreams, stream: &str, payload: &[u8]) {
    let stream = kept.streams.find(stream).expect("it is there");
    let subject = stream.definition().subjects[0].clone();
    let incoming = Incoming { subject: subject.as_bytes(), payload, ..Incoming::default() };
    assert!(stream.store(&incoming, kept.clock.now(), Publisher::Nobody, &mut Effects::default()));
}

/// What a publisher is told while nothing is written.
fn told_at_once(kept: &mut KeptStreams, subject: &str) -> Vec<String> {
    kept.publish(subject, "_INBOX.told", "", "x");
    kept.got().into_iter().map(|got| got.contents).collect()
}

fn three_streams() -> KeptStreams {
    let mut kept = KeptStreams::new();
    for name in ["A", "B"] {
        kept.create(name, &format!(r#""subjects":["{name}"]"#));
    }
    kept.create("M", r#""subjects":["M"],"storage":"memory""#);
    kept
}

fn messages(kept: &mut KeptStreams, stream: &str) -> u64 {
    kept.json(&format!("STREAM.INFO.{stream}"), "")["state"]["messages"].as_u64().expect("a number")
}

#[test]
fn so_many_messages_of_a_stream_wait_for_a_disk_that_hangs() {
    let mut kept = three_streams();
    for _ in 0..CHANGES_MAX {
        put(&kept, "A", b"x");
    }
    let refused =
        r#"{"error":{"code":429,"err_code":10167,"description":"too many requests"},"stream":"A","seq":0}"#;
    for _ in 0..3 {
        assert_eq!(told_at_once(&mut kept, "A"), [refused]);
        assert_eq!(told_at_once(&mut kept, "B"), [""; 0], "others wait for the disk");
    }
    assert_eq!(told_at_once(&mut kept, "M"), [r#"{"stream":"M","seq":1}"#]);
    kept.carry_on();
    assert_eq!(kept.got().len(), 3, "the messages of B are acknowledged");
    assert_eq!(messages(&mut kept, "A"), CHANGES_MAX as u64);
    assert_eq!(told_at_once(&mut kept, "A"), [""; 0], "there is room again");
}

#[test]
fn so_many_bytes_of_all_streams_wait_for_a_disk_that_hangs() {
    let mut kept = three_streams();
    let piece = vec![b'x'; PIECE];
    let most = BYTES_MAX / PIECE;
    for number in 0..most {
        put(&kept, if number % 2 == 0 { "A" } else { "B" }, &piece);
    }
    for name in ["A", "B"] {
        let refused = format!(
            r#"{{"error":{{"code":503,"err_code":10023,"description":"insufficient resources"}},"stream":"{name}","seq":0}}"#
        );
        assert_eq!(told_at_once(&mut kept, name), [refused]);
    }
    assert_eq!(told_at_once(&mut kept, "M"), [r#"{"stream":"M","seq":1}"#]);
    kept.carry_on();
    for name in ["A", "B"] {
        assert_eq!(messages(&mut kept, name), most as u64 / 2);
        kept.put(name, &[], "x");
    }
}

#[test]
fn so_many_answers_to_acknowledgements_wait_for_a_disk_that_hangs() {
    let mut kept = KeptStreams::new();
    kept.create("A", r#""subjects":["A"]"#);
    kept.json(
        "CONSUMER.CREATE.A.C",
        r#"{"stream_name":"A","config":{"durable_name":"C","ack_policy":"explicit"}}"#,
    );
    kept.put("A", &[], "x");
    let delivered = kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.A.C", &[], "");
    let reply = delivered[0].reply.clone();
    for _ in 0..CHANGES_MAX + 3 {
        kept.publish(&reply, "_INBOX.done", "", "+ACK");
    }
    let (mut answered, mut last) = (0, usize::MAX);
    while last > 0 {
        kept.carry_on();
        last = kept.got().len();
        answered += last;
    }
    assert_eq!(answered, CHANGES_MAX);
    let again = kept.ask_on(&reply, &[], "+ACK");
    assert_eq!(again.len(), 1, "there is room again");
}

#[test]
fn a_message_on_its_way_takes_the_place_of_one_of_its_subject() {
    let mut kept = KeptStreams::new();
    kept.create("KEYS", r#""subjects":["keys.*"],"max_msgs_per_subject":1,"max_msgs":2,"discard":"new""#);
    for subject in ["keys.1", "keys.1", "keys.2", "keys.1", "keys.3"] {
        kept.publish(subject, &format!("_INBOX.{subject}"), "", "x");
    }
    kept.carry_on();
    let told: Vec<String> = kept.got().into_iter().map(|got| got.contents).collect();
    let stored = |sequence| format!(r#"{{"stream":"KEYS","seq":{sequence}}}"#);
    assert_eq!(told[..4], [stored(1), stored(2), stored(3), stored(4)]);
    assert!(told[4].contains("maximum messages exceeded"), "{told:?}");
    assert_eq!(kept.sequences("KEYS"), [3, 4]);
}

#[test]
fn a_message_on_its_way_is_the_last_of_its_subject() {
    let mut kept = KeptStreams::new();
    kept.create("KEYS", r#""subjects":["keys.*"]"#);
    let expecting = |last: u64| format!("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {last}\r\n\r\n");
    for (subject, last) in [("keys.1", 0), ("keys.1", 1), ("keys.2", 0), ("keys.1", 1), ("keys.1", 2)] {
        kept.publish(subject, "_INBOX.told", &expecting(last), "x");
    }
    kept.carry_on();
    let told: Vec<bool> = kept.got().into_iter().map(|got| got.contents.contains("\"error\"")).collect();
    assert_eq!(told, [false, false, false, true, false]);
    kept.publish("keys.1", "_INBOX.told", &expecting(4), "x");
    kept.carry_on();
    assert_eq!(kept.got()[0].contents, r#"{"stream":"KEYS","seq":5}"#);
}
