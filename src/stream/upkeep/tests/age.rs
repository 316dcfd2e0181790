//! Messages that expire, and the markers that stay.

use super::*;

#[test]
fn messages_go_at_their_age_and_not_before() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"max_age":1000000000}"#);
    server.store(&["s.1"]);
    server.pass(Duration::from_millis(600));
    server.store(&["s.2"]);
    assert_eq!(server.due_in("S"), Some(400));
    server.after(399);
    assert_eq!(server.sequences("S"), [1, 2]);
    server.after(1);
    assert_eq!((server.sequences("S"), server.due_in("S")), (vec![2], Some(600)));
    server.after(600);
    assert_eq!(server.sequences("S"), [0; 0]);
}

#[test]
fn a_short_life_ends_among_long_ones() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"allow_msg_ttl":true}"#);
    server.put("s.1", &[("Nats-TTL", "1h")], "long");
    server.put("s.2", &[("Nats-TTL", "1s")], "short");
    server.put("s.3", &[], "longest");
    server.after(999);
    assert_eq!(server.sequences("S"), [1, 2, 3]);
    server.after(1);
    assert_eq!(server.sequences("S"), [1, 3]);
    server.after(3_599_000);
    assert_eq!(server.sequences("S"), [3]);
}

#[test]
fn a_message_that_is_to_stay_does_so_whatever_its_age() {
    let mut server =
        Server::with(r#"{"name":"S","subjects":["s.>"],"allow_msg_ttl":true,"max_age":1000000000}"#);
    server.put("s.1", &[("Nats-TTL", "never")], "");
    server.put("s.2", &[], "");
    server.after(1000);
    server.put("s.3", &[], "");
    assert_eq!(server.sequences("S"), [1, 3]);
    server.after(1000);
    assert_eq!((server.sequences("S"), server.due_in("S").is_none()), (vec![1], true));
}

#[test]
fn many_messages_go_in_turns_of_a_limited_length() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"max_age":1000000000}"#);
    let most = crate::stream::upkeep::age::EXPIRED_PER_TURN;
    (0..most + 1).for_each(|_| server.publish("s.1", "", "", ""));
    server.got();
    server.pass(Duration::from_secs(1));
    server.streams.advance(server.clock.now(), &mut server.effects);
    server.got();
    assert_eq!(server.sequences("S"), [most as u64 + 1]);
    server.streams.advance(server.clock.now(), &mut server.effects);
    server.got();
    assert_eq!(server.sequences("S"), [0; 0]);
}

const MARKED: &str = r#"{"name":"S","subjects":["s.>"],"allow_msg_ttl":true,"allow_rollup_hdrs":true,"max_age":1000000000,"subject_delete_marker_ttl":2000000000}"#;

#[test]
fn a_marker_stays_where_the_last_message_of_a_subject_was() {
    let mut server = Server::with(MARKED);
    server.store(&["s.1", "s.1", "s.2"]);
    server.pass(Duration::from_millis(900));
    server.store(&["s.2"]);
    server.after(100);
    assert_eq!(server.sequences("S"), [4, 5], "the first subject has a marker, the second one a message");
    let headers = "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 2s\r\nNats-Rollup: sub\r\n\r\n";
    assert_eq!(server.message("S", 5), ("s.1".to_owned(), headers.to_owned(), String::new()));
    server.after(900);
    assert_eq!(server.sequences("S"), [5, 6]);
    server.after(3000);
    assert_eq!(server.sequences("S"), [0; 0], "a marker leaves no marker");
}

#[test]
fn a_message_that_is_purged_or_deleted_leaves_no_marker() {
    let mut server = Server::with(MARKED);
    server.store(&["s.1", "s.2"]);
    assert_eq!(server.json("STREAM.PURGE.S", r#"{"filter":"s.1"}"#)["purged"], 1);
    assert_eq!(server.json("STREAM.MSG.DELETE.S", r#"{"seq":2}"#)["success"], true);
    server.after(2000);
    assert_eq!(server.sequences("S"), [0; 0]);
    assert_eq!(server.stream("S").state.lock().data.index.last(), 2);
}

#[test]
fn the_id_of_a_message_that_went_is_still_known() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"allow_msg_ttl":true}"#);
    server.put("s.1", &[("Nats-Msg-Id", "a"), ("Nats-TTL", "1s")], "");
    server.after(1000);
    assert_eq!(server.sequences("S"), [0; 0]);
    let again = server.ask_on("s.1", "NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n", "");
    assert!(again[0].payload.contains("\"duplicate\": true"), "{again:?}");
}

#[test]
fn the_first_message_at_a_time_is_found() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"]}"#);
    let start = crate::stream::shared::nanoseconds(server.clock.now());
    for _ in 0..3 {
        server.store(&["s.1"]);
        server.pass(Duration::from_secs(1));
    }
    let stream = server.stream("S");
    let at = |millis: i64| stream.sequence_at(start + millis * 1_000_000).expect("nothing is read");
    assert_eq!([at(-1), at(0), at(1), at(2000), at(2001)], [Some(1), Some(1), Some(2), Some(3), None]);
}
