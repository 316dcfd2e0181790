//! Requests about consumers, and to them.

use serde_json::{Value, json};

use super::Server;

const S: &str = r#"{"name":"S","subjects":["s.>"],"storage":"memory"}"#;
const C: &str = r#"{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}"#;
const NO_STREAM: (u64, u64, &str) = (404, 10059, "stream not found");
const NO_CONSUMER: (u64, u64, &str) = (404, 10014, "consumer not found");

fn with_consumer() -> Server {
    let mut server = Server::with(S);
    server.store(&["s.1", "s.2"]);
    let created = server.json("CONSUMER.CREATE.S.C", C);
    assert_eq!((&created["name"], &created["num_pending"]), (&json!("C"), &json!(2)), "{created}");
    server
}

#[test]
fn a_consumer_is_created_found_and_deleted() {
    let mut server = with_consumer();
    let info = server.json("CONSUMER.INFO.S.C", "");
    assert_eq!(info["type"], "io.nats.jetstream.api.v1.consumer_info_response");
    assert_eq!((&info["stream_name"], &info["created"]), (&json!("S"), &json!("2027-01-15T08:00:00Z")));
    assert_eq!(info["delivered"], json!({"consumer_seq": 0, "stream_seq": 0}));
    assert_eq!(server.json("CONSUMER.CREATE.S.C", C)["config"], info["config"]);
    let other = r#"{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","description":"x"},"action":"create"}"#;
    server.refuses("CONSUMER.CREATE.S.C", other, (400, 10148, "consumer already exists"));
    let changed = server.json("CONSUMER.CREATE.S.C", &other.replace("create", "update"));
    assert_eq!(changed["config"]["description"], "x");
    let missing = r#"{"stream_name":"S","config":{"durable_name":"D"},"action":"update"}"#;
    server.refuses("CONSUMER.CREATE.S.D", missing, (400, 10149, "consumer does not exist"));
    assert_eq!(server.json("CONSUMER.DELETE.S.C", "")["success"], true);
    server.refuses("CONSUMER.DELETE.S.C", "", NO_CONSUMER);
    server.refuses("CONSUMER.INFO.S.C", "", NO_CONSUMER);
    for request in ["INFO.X.C", "DELETE.X.C", "LIST.X", "NAMES.X", "PAUSE.X.C"] {
        server.refuses(&format!("CONSUMER.{request}"), "", NO_STREAM);
    }
    server.refuses("CONSUMER.CREATE.X.C", &C.replace("\"S\"", "\"X\""), NO_STREAM);
}

#[test]
fn consumers_are_listed_in_the_order_of_their_names() {
    let mut server = Server::with(S);
    assert_eq!(server.json("CONSUMER.NAMES.S", "")["consumers"], json!([]));
    for name in ["P", "G", "O", "C"] {
        let body =
            format!(r#"{{"stream_name":"S","config":{{"durable_name":"{name}","ack_policy":"explicit"}}}}"#);
        server.json(&format!("CONSUMER.CREATE.S.{name}"), &body);
    }
    for (body, offset, expected) in [
        ("", 0, json!(["C", "G", "O", "P"])),
        (r#"{"offset":2}"#, 2, json!(["O", "P"])),
        (r#"{"offset":9}"#, 4, json!([])),
    ] {
        let names = server.json("CONSUMER.NAMES.S", body);
        assert_eq!(
            (&names["total"], &names["offset"], &names["limit"]),
            (&json!(4), &json!(offset), &json!(1024))
        );
        assert_eq!(names["consumers"], expected);
        let list = server.json("CONSUMER.LIST.S", body);
        let listed =
            list["consumers"].as_array().expect("a list").iter().map(|consumer| consumer["name"].clone());
        assert_eq!((json!(listed.collect::<Vec<_>>()), &list["limit"]), (expected, &json!(256)));
    }
    assert_eq!(server.json("STREAM.INFO.S", "")["state"]["consumer_count"], 4);
}

#[test]
fn a_consumer_pauses_until_a_time() {
    let mut server = with_consumer();
    let paused = server.json("CONSUMER.PAUSE.S.C", r#"{"pause_until":"2027-01-15T08:00:10Z"}"#);
    assert_eq!((&paused["paused"], &paused["pause_remaining"]), (&json!(true), &json!(10_000_000_000_u64)));
    assert_eq!(paused["pause_until"], "2027-01-15T08:00:10Z");
    let info = server.json("CONSUMER.INFO.S.C", "");
    assert_eq!(
        (&info["paused"], &info["config"]["pause_until"]),
        (&json!(true), &json!("2027-01-15T08:00:10Z"))
    );
    assert!(server.ask("CONSUMER.MSG.NEXT.S.C", "1").is_empty());
    let got = server.ask("CONSUMER.PAUSE.S.C", r#"{"pause_until":"1970-01-01T00:00:00Z"}"#);
    assert_eq!((got.len(), got[1].payload.as_str()), (2, "m1"), "what waited goes on");
    let past: Value = serde_json::from_str(&got[0].payload).expect("it is JSON");
    assert_eq!((&past["paused"], &past["pause_until"]), (&json!(false), &json!("1970-01-01T00:00:00Z")));
    for body in ["{}", ""] {
        let paused = server.json("CONSUMER.PAUSE.S.C", body);
        assert_eq!(
            (&paused["paused"], &paused["pause_until"]),
            (&json!(false), &json!("0001-01-01T00:00:00Z"))
        );
    }
    let info = server.json("CONSUMER.INFO.S.C", "");
    assert_eq!((&info["paused"], &info["config"]["pause_until"]), (&json!(null), &json!(null)));
    server.refuses("CONSUMER.PAUSE.S.D", "{}", NO_CONSUMER);
}

#[test]
fn pulls_get_messages_and_statuses() {
    let mut server = with_consumer();
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", "2");
    let shown: Vec<_> = got.iter().map(|got| (got.subject.as_str(), got.payload.as_str())).collect();
    assert_eq!(shown, [("s.1", "m1"), ("s.2", "m2")]);
    assert!(
        got[0].reply.starts_with("$JS.ACK.S.C.1.1.1.") && got[0].reply.ends_with(".1"),
        "{}",
        got[0].reply
    );
    assert!(
        got[1].reply.starts_with("$JS.ACK.S.C.1.2.2.") && got[1].reply.ends_with(".0"),
        "{}",
        got[1].reply
    );
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", r#"{"no_wait":true}"#);
    assert_eq!(got[0].status(), "NATS/1.0 404 No Messages");
    let info = server.json("CONSUMER.INFO.S.C", "");
    assert_eq!((&info["num_ack_pending"], &info["num_pending"]), (&json!(2), &json!(0)));
    assert_eq!(
        info["delivered"],
        json!({"consumer_seq": 2, "stream_seq": 2, "last_active": "2027-01-15T08:00:00Z"})
    );
    assert_eq!(info["ack_floor"], json!({"consumer_seq": 0, "stream_seq": 0}));
}

#[test]
fn nobody_hears_pulls_for_what_is_not_there() {
    let mut server = with_consumer();
    for (subject, body) in [("S.Z", "1"), ("X.Z", "1"), ("S.Z", r#"{"batch":"a"}"#)] {
        let got = server.ask(&format!("CONSUMER.MSG.NEXT.{subject}"), body);
        assert_eq!((got.len(), got[0].status()), (1, "NATS/1.0 503"), "{subject} {body}");
        assert_eq!(got[0].header("Nats-Subject"), format!("$JS.API.CONSUMER.MSG.NEXT.{subject}"));
    }
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", r#"{"batch":"a"}"#);
    assert!(got[0].status().starts_with("NATS/1.0 400 Bad Request - "), "{got:?}");
}

#[test]
fn a_pinned_client_is_shown_and_can_be_unpinned() {
    let mut server = with_consumer();
    let no_group = (400, 10160, "Provided priority group does not exist for this consumer");
    server.refuses("CONSUMER.UNPIN.S.C", r#"{"group":"a"}"#, no_group);
    server.refuses("CONSUMER.UNPIN.S.Z", r#"{"group":"a"}"#, NO_CONSUMER);
    server.refuses("CONSUMER.UNPIN.X.Z", r#"{"group":"a"}"#, NO_STREAM);
    let unnamed = (400, 10025, "invalid JSON: consumer group not specified");
    server.refuses("CONSUMER.UNPIN.S.C", r#"{"group":""}"#, unnamed);
    server.refuses("CONSUMER.UNPIN.S.C", "{}", unnamed);
    let wrong = "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters";
    server.refuses("CONSUMER.UNPIN.S.C", r#"{"group":"a b"}"#, (400, 10162, wrong));
    let body = r#"{"stream_name":"S","config":{"durable_name":"G","ack_policy":"explicit","priority_policy":"pinned_client","priority_groups":["a"],"priority_timeout":120000000000}}"#;
    let free = json!([{"group": "a", "pinned_ts": "0001-01-01T00:00:00Z"}]);
    assert_eq!(server.json("CONSUMER.CREATE.S.G", body)["priority_groups"], free);
    server.refuses("CONSUMER.UNPIN.S.G", r#"{"group":"b"}"#, no_group);
    let got = server.ask("CONSUMER.MSG.NEXT.S.G", r#"{"group":"a","batch":1,"expires":1000000000}"#);
    let pin = got[0].header("Nats-Pin-Id");
    let held = json!([{"group": "a", "pinned_client_id": pin, "pinned_ts": "2027-01-15T08:00:00Z"}]);
    assert_eq!(server.json("CONSUMER.INFO.S.G", "")["priority_groups"], held);
    let unpinned = json!({"type": "io.nats.jetstream.api.v1.consumer_unpin_response"});
    assert_eq!(server.json("CONSUMER.UNPIN.S.G", r#"{"group":"a"}"#), unpinned);
    assert_eq!(server.json("CONSUMER.INFO.S.G", "")["priority_groups"], free);
}

#[test]
fn a_push_consumer_is_bound_while_somebody_subscribes() {
    let mut server = Server::with(S);
    let body = r#"{"stream_name":"S","config":{"deliver_subject":"_INBOX.push","ack_policy":"none"}}"#;
    let created = server.json("CONSUMER.CREATE.S", body);
    let name = created["name"].as_str().expect("the server invents one").to_owned();
    assert_eq!(name.len(), 8);
    assert_eq!(created["config"]["name"], json!(null));
    let acknowledged_and_pushed = server.ask_on("s.1", "", "x");
    assert_eq!(acknowledged_and_pushed.len(), 2, "{acknowledged_and_pushed:?}");
    assert_eq!(server.json(&format!("CONSUMER.INFO.S.{name}"), "")["push_bound"], true);
}

#[test]
fn a_push_consumer_waits_for_whoever_subscribes() {
    let mut server = with_consumer();
    let body =
        r#"{"stream_name":"S","config":{"durable_name":"P","deliver_subject":"to.me","ack_policy":"none"}}"#;
    let created = server.json("CONSUMER.CREATE.S.P", body);
    assert_eq!((&created["push_bound"], &created["num_pending"]), (&json!(null), &json!(2)));
    let subscription = server.subscribe("to.me");
    let shown: Vec<_> = server.got().into_iter().map(|got| got.payload).collect();
    assert_eq!(shown, ["m1", "m2"]);
    assert_eq!(server.json("CONSUMER.INFO.S.P", "")["push_bound"], true);
    server.unsubscribe(&subscription);
    assert!(server.got().is_empty());
    server.store(&["s.3"]);
    let info = server.json("CONSUMER.INFO.S.P", "");
    assert_eq!((&info["push_bound"], &info["num_pending"]), (&json!(null), &json!(1)));
    let moved = body.replace("to.me", "to.us");
    assert_eq!(server.json("CONSUMER.CREATE.S.P", &moved)["config"]["deliver_subject"], "to.us");
    server.subscribe("to.me");
    assert!(server.got().is_empty());
    server.subscribe("to.*");
    assert_eq!(server.got().len(), 1);
}
