//! Requests about messages that are answered by JSON.

use serde_json::{Value, json};

use super::Server;

const S: &str = r#"{"name":"S","subjects":["s.>"],"storage":"memory"}"#;

fn filled() -> Server {
    let mut server = Server::with(S);
    server.store(&["s.0", "s.1", "s.2", "s.0", "s.1", "s.2"]);
    server
}

fn range(server: &mut Server) -> (Value, Value, Value) {
    let state = server.json("STREAM.INFO.S", "")["state"].clone();
    (state["first_seq"].clone(), state["last_seq"].clone(), state["messages"].clone())
}

#[test]
fn a_message_is_found_in_many_ways() {
    let mut server = filled();
    server.json("STREAM.MSG.DELETE.S", r#"{"seq":3}"#);
    let found: &[(&str, u64)] = &[
        (r#"{"seq":2}"#, 2),
        (r#"{"last_by_subj":"s.*"}"#, 6),
        (r#"{"last_by_subj":"s.1"}"#, 5),
        (r#"{"seq":1,"next_by_subj":"s.2"}"#, 6),
        (r#"{"next_by_subj":"s.1"}"#, 2),
        (r#"{"seq":3,"next_by_subj":">"}"#, 4),
    ];
    for (body, sequence) in found {
        let got = server.json("STREAM.MSG.GET.S", body);
        assert_eq!(got["message"]["seq"], *sequence, "{body}: {got}");
    }
    for body in
        [r#"{"seq":3}"#, r#"{"seq":9}"#, r#"{"last_by_subj":"q"}"#, r#"{"seq":9,"next_by_subj":"s.2"}"#]
    {
        server.refuses("STREAM.MSG.GET.S", body, (404, 10037, "no message found"));
    }
    server.refuses("STREAM.MSG.GET.S", r#"{"seq":0}"#, (400, 10003, "bad request"));
    server.refuses("STREAM.MSG.GET.X", r#"{"seq":1}"#, (404, 10059, "stream not found"));
}

#[test]
fn a_message_is_shown_whole() {
    let mut server = Server::with(S);
    server.ask_on("s.1", "NATS/1.0\r\nA: b\r\n\r\n", "hello");
    let got = server.json("STREAM.MSG.GET.S", r#"{"seq":1}"#);
    assert_eq!(
        got["message"],
        json!({"subject": "s.1", "seq": 1, "hdrs": "TkFUUy8xLjANCkE6IGINCg0K", "data": "aGVsbG8=",
            "time": "2027-01-15T08:00:00Z"})
    );
}

#[test]
fn deleting_a_message_has_many_answers() {
    let mut server = filled();
    for sequence in [3, 1] {
        let body = format!(r#"{{"seq":{sequence}}}"#);
        assert_eq!(server.json("STREAM.MSG.DELETE.S", &body)["success"], true);
    }
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":3}"#, (400, 10043, "sequence 3 not found"));
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":0}"#, (500, 10057, "no message found"));
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":1}"#, (500, 10057, "no message found"));
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":99}"#, (500, 10057, "stream store EOF"));
    server.refuses("STREAM.MSG.DELETE.S", "{}", (400, 10003, "bad request"));
    server.refuses("STREAM.MSG.DELETE.X", r#"{"seq":1}"#, (404, 10059, "stream not found"));
}

#[test]
fn a_stream_may_forbid_that_messages_leave() {
    let mut server = Server::with(
        r#"{"name":"S","subjects":["s.>"],"storage":"memory","deny_delete":true,"deny_purge":true}"#,
    );
    server.store(&["s.1"]);
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":9}"#, (500, 10057, "message delete not permitted"));
    server.refuses("STREAM.PURGE.S", "", (500, 10110, "stream purge not permitted"));
    let sealed = r#"{"name":"S","subjects":["s.>"],"storage":"memory","deny_delete":true,"deny_purge":true,"sealed":true}"#;
    assert_eq!(server.json("STREAM.UPDATE.S", sealed)["config"]["sealed"], true);
    let is_sealed = (400, 10109, "invalid operation on sealed stream");
    server.refuses("STREAM.MSG.DELETE.S", r#"{"seq":1}"#, is_sealed);
    server.refuses("STREAM.PURGE.S", "", is_sealed);
}

#[test]
fn a_purge_takes_what_it_says() {
    let mut server = filled();
    let mut purged = |body: &str| server.json("STREAM.PURGE.S", body)["purged"].clone();
    for (body, expected) in [
        (r#"{"filter":"s.1","keep":1}"#, 1),
        (r#"{"seq":4,"filter":"s.0"}"#, 1),
        (r#"{"keep":2}"#, 2),
        (r#"{"seq":5}"#, 0),
        (r#"{"filter":"q"}"#, 0),
        (r#"{"keep":100}"#, 0),
        ("", 2),
        ("", 0),
    ] {
        assert_eq!(purged(body), expected, "{body}");
    }
    assert_eq!(range(&mut server), (json!(7), json!(6), json!(0)));
    let state = server.json("STREAM.INFO.S", "")["state"].clone();
    assert_eq!(state["first_ts"], "0001-01-01T00:00:00Z");
    assert_eq!(state["last_ts"], "2027-01-15T08:00:00Z");
    server.refuses("STREAM.PURGE.S", r#"{"seq":1,"keep":1}"#, (400, 10003, "bad request"));
}

#[test]
fn a_purge_beyond_the_last_message_moves_the_sequence_on() {
    let mut server = filled();
    assert_eq!(server.json("STREAM.PURGE.S", r#"{"seq":1000}"#)["purged"], 6);
    assert_eq!(range(&mut server), (json!(1000), json!(999), json!(0)));
    assert_eq!(server.json("STREAM.PURGE.S", r#"{"seq":500,"filter":">"}"#)["purged"], 0);
    server.store(&["s.1"]);
    assert_eq!(range(&mut server), (json!(1000), json!(1000), json!(1)));
    assert_eq!(server.json("STREAM.PURGE.S", r#"{"seq":18446744073709551615}"#)["purged"], 1);
    server.store(&["s.1"]);
    assert_eq!(range(&mut server).2, json!(1));
}

#[test]
fn a_purge_that_comes_in_the_batch_of_messages_takes_them_all() {
    let mut server = Server::with(S);
    for _ in 0..3 {
        server.publish("s.1", "", "", "x");
    }
    assert_eq!(server.json("STREAM.PURGE.S", "")["purged"], 3);
    assert_eq!(range(&mut server), (json!(4), json!(3), json!(0)));
}
