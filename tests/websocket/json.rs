//! The JSON form: one object per frame, as people type them.

use serde_json::json;

use super::{connect as connect_bytes, server};
use crate::support::client::Client;
use crate::support::json_socket::JsonSocket;
use crate::support::websocket::{BINARY, TEXT, frame};

#[test]
fn a_session_as_somebody_types_it() {
    let server = server(&[]);
    let mut json = JsonSocket::open(server.http_address());
    let info = json.read();
    assert_eq!(
        (&info["op"], &info["auth_required"], &info["max_payload"]),
        (&json!("info"), &json!(false), &json!(1 << 20))
    );
    let answer = json.ask(r#"{"op":"subscribe","subject":"news.*"}"#);
    assert_eq!(answer, json!({"op": "subscribed", "id": "1", "subject": "news.*"}));
    let message = json.ask(r#"{"op":"publish","subject":"news.eu","payload":"hello"}"#);
    assert_eq!(message, json!({"op": "message", "id": "1", "subject": "news.eu", "payload": "hello"}));
    // The message comes before the answer.
    let message = json.ask(r#"{"op":"publish","subject":"news.us","payload":{"a":1},"ack":true,"id":"p"}"#);
    assert_eq!(message, json!({"op": "message", "id": "1", "subject": "news.us", "payload": r#"{"a":1}"#}));
    assert_eq!(json.read(), json!({"op": "published", "id": "p", "receivers": 1}));
    assert_eq!(json.ask(r#"{"op":"unsubscribe","id":1}"#), json!({"op": "unsubscribed", "id": "1"}));
    let answer = json.ask(r#"{"op":"publish","subject":"news.us","ack":true}"#);
    assert_eq!(answer, json!({"op": "published", "receivers": 0}));
    assert_eq!(json.ask(r#"{"op":"ping"}"#), json!({"op": "pong"}));
    assert_eq!(json.ask(r#"{"op":"ping","id":7}"#), json!({"op": "pong", "id": "7"}));
    assert_eq!(json.ask(r#"{"op":"connect","name":"me"}"#), json!({"op": "connected"}));
}

#[test]
fn errors_name_the_field_and_the_remedy() {
    let server = server(&["--broker-max-payload", "1kb", "--broker-max-subscriptions", "1"]);
    let mut json = JsonSocket::connect(server.http_address());
    let long = format!(r#"{{"op":"publish","subject":"x","payload":"{}"}}"#, "y".repeat(1025));
    let deep = format!(r#"{{"op":"subscribe","subject":"{}"}}"#, "y".repeat(5000));
    for (object, code, message) in [
        ("hello", "invalid_request", "expected value"),
        ("[1]", "invalid_request", "invalid type"),
        (r#"{"op":"publish","subjct":"x"}"#, "invalid_request", "unknown field `subjct`"),
        (r#"{"op":"shout"}"#, "unknown_op", "op: one of connect, subscribe"),
        ("{}", "unknown_op", "op: one of"),
        (r#"{"op":"subscribe"}"#, "invalid_field", "subject: a subject"),
        (r#"{"op":"subscribe","subject":"a..b"}"#, "invalid_field", "subject: tokens"),
        (r#"{"op":"subscribe","subject":"a.>.b"}"#, "invalid_field", "subject: tokens"),
        (r#"{"op":"subscribe","subject":"a","group":"two words"}"#, "invalid_field", "group: "),
        (r#"{"op":"subscribe","subject":"a","slow_consumer":"x"}"#, "invalid_field", "slow_consumer: one of"),
        (&deep, "invalid_field", "subject: with its group"),
        (r#"{"op":"publish","subject":"a.*"}"#, "invalid_field", "subject: a subject is tokens"),
        (r#"{"op":"publish","subject":"$SYS.x"}"#, "forbidden", "subject: subjects that begin"),
        (r#"{"op":"publish","subject":"_INBOX.x"}"#, "forbidden", "subject: subjects that begin"),
        (r#"{"op":"publish","subject":"a","reply":"$JS.ACK.x"}"#, "forbidden", "reply: "),
        (r#"{"op":"publish","subject":"a","base64":"x"}"#, "invalid_field", "base64: "),
        (&long, "too_large", "headers and payload have 1025 bytes"),
        (r#"{"op":"unsubscribe"}"#, "invalid_field", "id: that of a subscription"),
        (r#"{"op":"unsubscribe","id":"x"}"#, "no_such_subscription", "id: x is no subscription"),
        (r#"{"op":"ack","id":"x"}"#, "no_such_subscription", "id: x is no subscription"),
        (r#"{"op":"request","subject":"nobody"}"#, "no_responders", "nobody is subscribed"),
        (r#"{"op":"request","subject":"a","timeout_ms":0}"#, "invalid_field", "timeout_ms: "),
        (r#"{"op":"request","subject":"a","reply":"b"}"#, "invalid_field", "reply: "),
    ] {
        let (found, text) = json.fail(object);
        assert_eq!(found, code, "{object}: {text}");
        assert!(text.starts_with(message), "{object}: {text}");
    }
    assert_eq!(json.ask(r#"{"op":"subscribe","subject":"a","id":"s"}"#)["op"], "subscribed");
    assert_eq!(json.fail(r#"{"op":"subscribe","subject":"b"}"#).0, "too_many");
    assert_eq!(
        json.ask(r#"{"op":"unsubscribe","id":"x"}"#)["id"],
        "x",
        "an error has the id of its operation"
    );
}

#[test]
fn an_id_is_used_once_at_a_time() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    assert_eq!(json.ask(r#"{"op":"subscribe","subject":"a","id":"1"}"#)["id"], "1");
    assert_eq!(json.fail(r#"{"op":"subscribe","subject":"b","id":1}"#).0, "id_in_use");
    // The server gives ids that are free.
    assert_eq!(json.ask(r#"{"op":"subscribe","subject":"b"}"#)["id"], "2");
    assert_eq!(json.ask(r#"{"op":"unsubscribe","id":"1"}"#)["op"], "unsubscribed");
    assert_eq!(json.ask(r#"{"op":"subscribe","subject":"b","id":"1"}"#)["id"], "1");
}

#[test]
fn a_subscription_ends_after_its_maximum() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    json.ask(r#"{"op":"subscribe","subject":"a","max":2}"#);
    for receivers in [1, 1, 0] {
        json.send(r#"{"op":"publish","subject":"a","ack":true}"#);
        for _ in 0..receivers {
            assert_eq!(json.read()["op"], "message");
        }
        assert_eq!(json.read()["receivers"], receivers);
    }
    assert_eq!(json.fail(r#"{"op":"unsubscribe","id":"1"}"#).0, "no_such_subscription");
    json.ask(r#"{"op":"subscribe","subject":"b"}"#);
    assert_eq!(json.ask(r#"{"op":"unsubscribe","id":"2","max":1}"#)["op"], "unsubscribed");
    assert_eq!(json.ask(r#"{"op":"publish","subject":"b"}"#)["op"], "message");
    assert_eq!(json.ask(r#"{"op":"publish","subject":"b","ack":true}"#)["receivers"], 0);
}

#[test]
fn a_request_is_answered_or_its_time_is_over() {
    let server = server(&[]);
    let (mut asker, mut answerer) =
        (JsonSocket::connect(server.http_address()), JsonSocket::connect(server.http_address()));
    answerer.ask(r#"{"op":"subscribe","subject":"time.*"}"#);
    asker.send(r#"{"op":"request","subject":"time.now","payload":"utc","id":"r"}"#);
    let request = answerer.read();
    assert_eq!((&request["subject"], &request["payload"]), (&json!("time.now"), &json!("utc")));
    let reply = request["reply"].as_str().expect("it has one");
    assert!(reply.starts_with("_INBOX."));
    // Only who was asked knows the inbox, and a client of this form cannot publish there.
    let (code, _) = answerer.fail(&format!(r#"{{"op":"publish","subject":"{reply}","payload":"noon"}}"#));
    assert_eq!(code, "forbidden");
    connect_bytes(&server).send(BINARY, format!("PUB {reply} 4\r\nnoon\r\nPUB {reply} 3\r\nno!\r\n"));
    assert_eq!(asker.read(), json!({"op": "reply", "id": "r", "payload": "noon"}));

    asker.send(r#"{"op":"request","subject":"time.now","timeout_ms":1}"#);
    assert_eq!(answerer.read()["op"], "message");
    let error = asker.read();
    assert_eq!((&error["code"], &error["id"]), (&json!("timeout"), &json!("1")));
    assert_eq!(asker.ask(r#"{"op":"ping"}"#)["op"], "pong");
}

#[test]
fn hidden_subjects_are_seen_by_who_names_them() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    json.ask(r#"{"op":"subscribe","subject":">","id":"all"}"#);
    json.ask(r#"{"op":"subscribe","subject":"_INBOX.>","id":"inbox"}"#);
    let mut client = connect_bytes(&server);
    client.send(BINARY, "PUB _INBOX.x 1\r\na\r\nPUB plain 1\r\nb\r\n");
    let expected = json!({"op": "message", "id": "inbox", "subject": "_INBOX.x", "payload": "a"});
    assert_eq!(json.read(), expected);
    assert_eq!(json.read()["id"], "all");
}

#[test]
fn messages_cross_to_and_from_other_listeners() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    json.ask(r#"{"op":"subscribe","subject":"news.>"}"#);
    let mut bytes = connect_bytes(&server);
    bytes.send(BINARY, "SUB news.* 9\r\nPING\r\n");
    bytes.stream_until("PONG\r\n");
    let mut redis = Client::connect(server.address());
    assert_eq!(redis.ask("PUBLISH news.eu hi"), "2");
    assert_eq!(json.read()["payload"], "hi");
    assert_eq!(bytes.stream_until("hi\r\n"), "MSG news.eu 9 2\r\nhi\r\n");
    json.send(r#"{"op":"publish","subject":"news.eu","base64":"AP8=","headers":{"a":["1","2"],"b":"3"},"reply":"r"}"#);
    let message = json.read();
    assert_eq!(
        message,
        json!({"op": "message", "id": "1", "subject": "news.eu", "reply": "r", "base64": "AP8=",
            "headers": {"a": ["1", "2"], "b": "3"}})
    );
    assert_eq!(bytes.stream_until("\r\n"), "MSG news.eu 9 r 2\r\n");
}

#[test]
fn who_gives_a_wrong_password_or_none_is_closed() {
    let server = server(&["--requirepass", "sesame"]);
    for object in [r#"{"op":"connect","pass":"guess"}"#, r#"{"op":"connect"}"#, r#"{"op":"ping"}"#, "hello"] {
        let mut json = JsonSocket::open(server.http_address());
        assert_eq!(json.read()["auth_required"], true);
        json.send(object);
        let error = json.read();
        if object == "hello" {
            assert_eq!(error["code"], "invalid_request");
            continue;
        }
        assert_eq!(error["code"], "unauthorized", "{object}");
        assert_eq!(json.0.closed(), (1008, "Authorization Violation".to_owned()));
    }
    let mut json = JsonSocket::open(server.http_address());
    json.read();
    assert_eq!(json.ask(r#"{"op":"connect","pass":"sesame"}"#)["op"], "connected");
    assert_eq!(json.ask(r#"{"op":"ping"}"#)["op"], "pong");
    // Too much is not read before the password.
    let mut json = JsonSocket::open(server.http_address());
    json.read();
    json.0.write(&frame(TEXT, &[b' '; 16 * 1024 + 1])[..8]);
    assert_eq!(json.0.closed().0, 1009);
}

#[test]
fn frames_of_objects_may_be_cut_and_joined() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    let ping = br#"{"op":"ping"}"#;
    frame(TEXT, ping).chunks(1).for_each(|byte| json.0.write(byte));
    assert_eq!(json.read()["op"], "pong");
    json.0.write(&[frame(0x01, &ping[..5]), frame(0x00, b""), frame(0x80, &ping[5..])].concat());
    assert_eq!(json.read()["op"], "pong");
    json.0.write(&frame(TEXT, ping).repeat(100));
    for _ in 0..100 {
        assert_eq!(json.read()["op"], "pong");
    }
    json.0.send(BINARY, ping);
    assert_eq!(json.read()["op"], "pong");
}

#[test]
fn a_client_may_not_get_its_own_messages() {
    let server = server(&[]);
    let mut json = JsonSocket::connect(server.http_address());
    json.ask(r#"{"op":"connect","echo":false}"#);
    json.ask(r#"{"op":"subscribe","subject":"a"}"#);
    assert_eq!(json.ask(r#"{"op":"publish","subject":"a","ack":true}"#)["receivers"], 0);
}

#[test]
fn permissions_hold() {
    let users = "[{ name = 'ann', password = 'a', publish = ['news.*'], subscribe = ['news.>'] }]";
    let server = server(&["--users", users]);
    let mut json = JsonSocket::connect(server.http_address());
    assert_eq!(json.ask(r#"{"op":"connect","user":"ann","pass":"a"}"#)["op"], "connected");
    assert_eq!(json.ask(r#"{"op":"subscribe","subject":"news.eu"}"#)["op"], "subscribed");
    assert_eq!(json.ask(r#"{"op":"publish","subject":"news.eu"}"#)["op"], "message");
    for (object, message) in [
        (r#"{"op":"subscribe","subject":">"}"#, "Permissions Violation for Subscription to \">\""),
        (r#"{"op":"publish","subject":"news"}"#, "Permissions Violation for Publish to \"news\""),
    ] {
        assert_eq!(json.fail(object), ("forbidden".to_owned(), message.to_owned()));
    }
}

#[test]
fn who_reads_too_slowly_is_told_of_the_gap_and_may_acknowledge_it() {
    const MESSAGES: usize = 400;
    let server = server(&["--broker-max-pending", "64kb"]);
    let mut slow = JsonSocket::connect(server.http_address());
    slow.ask(r#"{"op":"subscribe","subject":"flood","slow_consumer":"drop-oldest"}"#);
    let mut publisher = connect_bytes(&server);
    // More than both sockets hold.
    let payload = "x".repeat(64 * 1024);
    for _ in 0..MESSAGES {
        publisher.send(BINARY, format!("PUB flood {}\r\n{payload}\r\n", payload.len()));
    }
    publisher.send(BINARY, "PUB flood 4\r\nlast\r\nPING\r\n");
    publisher.stream_until("PONG\r\n");
    let (mut received, mut missed) = (0, 0);
    loop {
        let object = slow.read();
        match object["op"].as_str() {
            Some("message") => received += 1,
            Some("gap") => missed += object["missed"].as_u64().expect("it is a number"),
            _ => panic!("{object}"),
        }
        if object["payload"] == "last" {
            break;
        }
    }
    assert!(missed > 0);
    assert_eq!(received + missed, MESSAGES as u64 + 1);
    let acknowledged = json!({"op": "acked", "id": "1", "missed": missed});
    assert_eq!(slow.ask(r#"{"op":"ack","id":"1"}"#), acknowledged);
    assert_eq!(slow.ask(r#"{"op":"ack","id":"1"}"#)["missed"], 0);
}
