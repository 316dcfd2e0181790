//! Messages that are published later.

use super::*;

const SCHEDULED: &str = r#"{"name":"S","subjects":["s.>"],"allow_msg_ttl":true,"allow_msg_schedules":true,"allow_rollup_hdrs":true}"#;

#[test]
fn a_message_is_published_when_its_time_has_come_and_once() {
    let mut server = Server::with(SCHEDULED);
    server.subscribe("s.target");
    // The clock stands at 1,800,000,000 seconds, which is this time.
    let headers = [
        ("Nats-Schedule", "@at 2027-01-15T08:00:01.5Z"),
        ("Nats-Schedule-Target", "s.target"),
        ("Nats-Schedule-TTL", "5s"),
        ("Nats-Msg-Id", "a"),
        ("Colour", "red"),
    ];
    server.put("s.later", &headers, "payload");
    assert_eq!(server.due_in("S"), Some(1500));
    assert_eq!(server.after(1499), []);
    assert_eq!(server.sequences("S"), [1]);
    let got = server.after(1);
    assert_eq!(server.sequences("S"), [2]);
    let headers = "NATS/1.0\r\nColour: red\r\nNats-Scheduler: s.later\r\nNats-Schedule-Next: purge\r\nNats-TTL: 5s\r\n\r\n";
    let expected = ("s.target".to_owned(), headers.to_owned(), "payload".to_owned());
    assert_eq!(server.message("S", 2), expected);
    let on_target = on(&got, "s.target");
    assert_eq!(on_target.len(), 1, "a subscriber gets it once: {got:?}");
    assert_eq!((&on_target[0].headers[..], &on_target[0].payload[..]), (headers, "payload"));
    assert_eq!(server.after(1000), []);
    server.after(4000);
    assert_eq!(server.sequences("S"), [0; 0], "it lives as long as was asked for");
}

#[test]
fn a_delay_counts_from_when_the_message_was_stored() {
    let mut server = Server::with(SCHEDULED);
    server.put("s.later", &[("Nats-Delay", "2s"), ("Nats-Schedule-Target", "s.target")], "x");
    server.after(1999);
    assert_eq!(server.sequences("S"), [1]);
    server.after(1);
    assert_eq!(server.message("S", 2).0, "s.target");
}

#[test]
fn a_schedule_that_is_removed_publishes_nothing() {
    let mut server = Server::with(SCHEDULED);
    server.put("s.later", &[("Nats-Delay", "2s"), ("Nats-Schedule-Target", "s.target")], "one");
    server.put("s.later", &[("Nats-Delay", "3s"), ("Nats-Schedule-Target", "s.target")], "two");
    server.put("s.other", &[("Nats-Delay", "2s"), ("Nats-Schedule-Target", "s.target")], "three");
    assert_eq!(server.json("STREAM.PURGE.S", r#"{"filter":"s.other"}"#)["purged"], 1);
    server.after(2500);
    assert_eq!(server.sequences("S"), [2], "the second one has taken the place of the first");
    server.after(500);
    assert_eq!(server.message("S", 4).2, "two");
}

#[test]
fn a_target_that_the_stream_keeps_no_more_is_published_all_the_same() {
    let mut server = Server::with(SCHEDULED);
    server.subscribe("s.target");
    server.put("s.later", &[("Nats-Delay", "1s"), ("Nats-Schedule-Target", "s.target")], "x");
    let definition = SCHEDULED.replace("s.>", "s.later");
    assert!(server.json("STREAM.UPDATE.S", &definition)["error"].is_null());
    let got = server.after(1000);
    assert_eq!((on(&got, "s.target").len(), server.sequences("S")), (1, vec![]));
}
