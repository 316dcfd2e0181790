//! Requests about streams, and about the account.

use serde_json::{Value, json};

use super::Server;
use crate::delivery::Message;
use crate::stream::api::reply::DELETED_MAX;
use crate::stream::shared::Life;

const S: &str = r#"{"name":"S","subjects":["s.>"],"storage":"memory"}"#;
const NO_TIME: &str = "0001-01-01T00:00:00Z";
const NOT_FOUND: (u64, u64, &str) = (404, 10059, "stream not found");

#[test]
fn a_stream_is_created_found_changed_and_deleted() {
    let mut server = Server::with(S);
    let again = server.json("STREAM.CREATE.S", S);
    assert_eq!(again["did_create"], true);
    let in_use = (400, 10058, "stream name already in use with a different configuration");
    server.refuses("STREAM.CREATE.S", r#"{"name":"S","subjects":["q"],"storage":"memory"}"#, in_use);
    let overlap = (400, 10065, "subjects overlap with an existing stream");
    server.refuses("STREAM.CREATE.T", r#"{"name":"T","subjects":["s.1"],"storage":"memory"}"#, overlap);
    let info = server.json("STREAM.INFO.S", "");
    assert_eq!((&info["total"], &info["offset"], &info["limit"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(info["config"], again["config"]);
    let changed = server
        .json("STREAM.UPDATE.S", r#"{"name":"S","subjects":["s.>","t"],"storage":"memory","max_msgs":2}"#);
    assert_eq!((&changed["config"]["max_msgs"], &changed["did_create"]), (&json!(2), &json!(null)));
    server.store(&["s.1", "t", "t"]);
    assert_eq!(server.json("STREAM.INFO.S", "")["state"]["messages"], 2);
    assert_eq!(
        server.json("STREAM.DELETE.S", ""),
        json!({
            "type": "io.nats.jetstream.api.v1.stream_delete_response", "success": true
        })
    );
    for request in ["INFO", "DELETE", "PURGE"] {
        server.refuses(&format!("STREAM.{request}.S"), "", NOT_FOUND);
    }
    assert!(server.ask_on("t", "", "x").is_empty(), "nobody keeps it any more");
}

#[test]
fn an_update_looks_at_the_definition_before_the_stream() {
    let mut server = Server::new();
    server.refuses("STREAM.UPDATE.X", r#"{"name":"X"}"#, NOT_FOUND);
    server.refuses("STREAM.UPDATE.X", r#"{"name":"X","num_replicas":3}"#, NOT_FOUND);
    let negative = (500, 10052, "max age can not be negative");
    server.refuses("STREAM.UPDATE.X", r#"{"name":"X","max_age":-1}"#, negative);
}

#[test]
fn the_state_tells_what_there_is() {
    let mut server = Server::with(S);
    let state = server.json("STREAM.INFO.S", "")["state"].clone();
    assert_eq!(
        state,
        json!({"messages": 0, "bytes": 0, "first_seq": 0, "first_ts": NO_TIME, "last_seq": 0,
            "last_ts": NO_TIME, "consumer_count": 0})
    );
    server.store(&["s.0", "s.1", "s.2", "s.0", "s.1", "s.2"]);
    server.json("STREAM.MSG.DELETE.S", r#"{"seq":3}"#);
    server.json("STREAM.MSG.DELETE.S", r#"{"seq":1}"#);
    let state = server.json("STREAM.INFO.S", r#"{"deleted_details":true}"#)["state"].clone();
    assert_eq!(
        (&state["first_seq"], &state["last_seq"], &state["messages"]),
        (&json!(2), &json!(6), &json!(4))
    );
    assert_eq!((&state["num_deleted"], &state["deleted"]), (&json!(1), &json!([3])));
    assert_eq!((&state["num_subjects"], &state["subjects"]), (&json!(3), &json!(null)));
    assert_eq!(
        (&state["first_ts"], &state["last_ts"]),
        (&json!("2027-01-15T08:00:00Z"), &json!("2027-01-15T08:00:00Z"))
    );
    // With the longest numbers that there can be, the list still fits into a message.
    let mut sparse = Server::with(r#"{"name":"H","first_seq":4611686018427387904,"storage":"memory"}"#);
    sparse.store(&["H"]);
    let gone = DELETED_MAX as u64 + 10;
    let stream = sparse.streams.find("H").expect("it was made");
    stream.state.lock().data.index.skip((1 << 62) + gone);
    sparse.store(&["H"]);
    let got = sparse.ask("STREAM.INFO.H", r#"{"deleted_details":true}"#);
    let state = serde_json::from_str::<Value>(&got[0].payload).expect("it is JSON")["state"].clone();
    let listed = state["deleted"].as_array().expect("a list");
    assert_eq!((listed.len(), &state["num_deleted"]), (DELETED_MAX, &json!(gone)));
    assert_eq!(listed[DELETED_MAX - 1], json!((1_u64 << 62) + DELETED_MAX as u64));
    assert!(got[0].payload.len() < 1 << 20, "{}", got[0].payload.len());
    let first = Server::with(r#"{"name":"F","first_seq":10,"storage":"memory"}"#).json("STREAM.INFO.F", "");
    assert_eq!((&first["state"]["first_seq"], &first["state"]["last_seq"]), (&json!(10), &json!(9)));
}

#[test]
fn subjects_are_counted_by_pages() {
    let mut server = Server::with(S);
    server.store(&["s.0", "s.1", "s.2", "s.0"]);
    let mut counted = |body: &str| {
        let info = server.json("STREAM.INFO.S", body);
        let page = (info["total"].as_u64(), info["offset"].as_u64(), info["limit"].as_u64());
        (page, info["state"]["subjects"].clone())
    };
    let page = |total, offset, limit| (Some(total), Some(offset), Some(limit));
    let all = json!({"s.0": 2, "s.1": 1, "s.2": 1});
    assert_eq!(counted(r#"{"subjects_filter":">"}"#), (page(3, 0, 100_000), all));
    assert_eq!(
        counted(r#"{"subjects_filter":"s.*","offset":1}"#),
        (page(3, 1, 100_000), json!({"s.1": 1, "s.2": 1}))
    );
    assert_eq!(counted(r#"{"subjects_filter":"s.1","offset":5}"#), (page(1, 5, 100_000), json!(null)));
    assert_eq!(counted(r#"{"subjects_filter":"q"}"#), (page(0, 0, 0), json!(null)));
}

#[test]
fn lists_have_pages_and_show_streams_whose_subjects_collide() {
    let mut server = Server::new();
    let names = server.json("STREAM.NAMES", "");
    assert_eq!(
        names,
        json!({"type": "io.nats.jetstream.api.v1.stream_names_response",
        "total": 0, "offset": 0, "limit": 1024, "streams": null})
    );
    assert_eq!(server.json("STREAM.LIST", "")["streams"], json!([]));
    for name in ["D", "K", "M", "S"] {
        let subjects = name.to_lowercase();
        let definition = format!(r#"{{"name":"{name}","subjects":["{subjects}.>"],"storage":"memory"}}"#);
        server.json(&format!("STREAM.CREATE.{name}"), &definition);
    }
    for (body, total, offset, expected) in [
        (r#"{"subject":"s.1"}"#, 1, 0, json!(["S"])),
        (r#"{"subject":"*.1"}"#, 4, 0, json!(["D", "K", "M", "S"])),
        (r#"{"offset":2}"#, 4, 2, json!(["M", "S"])),
        (r#"{"offset":20}"#, 4, 4, json!(null)),
        (r#"{"subject":"zz"}"#, 0, 0, json!(null)),
    ] {
        let names = server.json("STREAM.NAMES", body);
        assert_eq!((&names["total"], &names["offset"]), (&json!(total), &json!(offset)), "{body}");
        assert_eq!(names["streams"], expected, "{body}");
        let list = server.json("STREAM.LIST", body);
        let listed: Vec<_> = list["streams"].as_array().expect("a list").iter().collect();
        let listed: Vec<_> = listed.iter().map(|stream| stream["config"]["name"].clone()).collect();
        assert_eq!(json!(listed), if expected.is_null() { json!([]) } else { expected }, "{body}");
        assert_eq!((&list["total"], &list["limit"]), (&json!(total), &json!(256)), "{body}");
    }
}

#[test]
fn the_account_tells_what_all_streams_have_and_how_often_it_was_asked() {
    let mut server = Server::new();
    let info = server.json("INFO", "");
    assert_eq!(info["api"], json!({"level": 1, "total": 0, "errors": 0}));
    server.json("STREAM.CREATE.M", r#"{"name":"M","subjects":["m.>"],"storage":"memory","max_bytes":2000}"#);
    server
        .json("CONSUMER.CREATE.M.C", r#"{"stream_name":"M","config":{"name":"C","ack_policy":"explicit"}}"#);
    server.refuses("STREAM.INFO.X", "", NOT_FOUND);
    server.store(&["m.1"]);
    let info = server.json("INFO", "");
    assert_eq!(info["api"], json!({"level": 1, "total": 4, "errors": 1}));
    assert_eq!((&info["streams"], &info["consumers"], &info["storage"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!((&info["reserved_memory"], &info["limits"]["max_streams"]), (&json!(2000), &json!(-1)));
    assert!(info["memory"].as_u64() > Some(0), "{info}");
}

#[test]
fn what_nobody_knows_is_answered_at_once() {
    let mut server = Server::new();
    server.refuses("ZORK", "", (404, 10003, "bad request"));
    server.publish("$JS.API.STREAM.CREATE.S", "", "", S);
    assert!(server.got().is_empty());
    assert_eq!(
        server.json("STREAM.NAMES", "")["total"],
        1,
        "a request without a reply subject is carried out"
    );
}

#[test]
fn requests_of_one_batch_are_answered_in_their_order() {
    let mut server = Server::new();
    for (number, (subject, body)) in
        [("STREAM.CREATE.S", S), ("STREAM.NAMES", ""), ("STREAM.DELETE.S", ""), ("STREAM.NAMES", "")]
            .into_iter()
            .enumerate()
    {
        server.publish(&format!("$JS.API.{subject}"), &format!("_INBOX.{number}"), "", body);
    }
    let got = server.got();
    // The stream that was created in the batch is there when the batch is over.
    let mut subjects: Vec<_> = got.iter().map(|got| got.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["_INBOX.0", "_INBOX.1", "_INBOX.2", "_INBOX.3"]);
}

#[test]
fn a_message_for_a_stream_that_is_gone_is_heard_by_nobody() {
    let mut server = Server::with(r#"{"name":"ORDERS","subjects":["orders.*"]}"#);
    let orders = server.streams.find("ORDERS").expect("it is there");
    // The disk has its deletion, and its subjects are about to be taken away.
    orders.state.lock().life = Life::Gone;
    let message = Message { reply: b"_INBOX.x", ..Message::new(b"orders.1", b"one") };
    assert!(server.fan_out.publish(&message, &mut server.effects).are_none());
    assert_eq!(server.got(), []);
}

#[test]
fn who_watches_the_api_is_told_of_each_request_and_its_answer() {
    let mut server = Server::with(S);
    assert_eq!(server.ask_on("$JS.API.STREAM.INFO.S", "", "").len(), 1, "nobody watches");
    server.subscribe("$JS.EVENT.ADVISORY.API");
    for (subject, body) in [
        ("$JS.API.STREAM.INFO.S", r#"{"deleted_details":true}"#),
        ("$JS.API.STREAM.INFO.N", ""),
        ("$JS.API.STREAM.CREATE.X", r#"{"name":"#),
    ] {
        let got = server.ask_on(subject, "", body);
        let [answer, told] = &got[..] else { panic!("{subject}: {got:?}") };
        assert_eq!(told.subject, "$JS.EVENT.ADVISORY.API");
        let told: serde_json::Value = serde_json::from_str(&told.payload).expect("it is JSON");
        assert_eq!(told["type"], "io.nats.jetstream.advisory.v1.api_audit");
        assert_eq!((&told["subject"], &told["response"]), (&json!(subject), &json!(answer.payload)));
        let request = if body.is_empty() { json!(null) } else { json!(body) };
        let unknown = json!({"acc": "$G"});
        assert_eq!((&told["request"], &told["client"]), (&request, &unknown), "nobody invents a client");
    }
    // A request without a reply subject is told of too, and one for messages is none of them.
    server.publish("$JS.API.STREAM.INFO.S", "", "", "");
    assert_eq!(server.got().len(), 1);
    server.publish("$JS.API.DIRECT.GET.S", "", "", r#"{"seq":1}"#);
    assert_eq!(server.got().len(), 0);
}
