//! The advisories that streams publish.

use serde_json::Value;

use super::*;

/// The one advisory on a subject.
fn told(got: &[Got], subject: &str) -> Value {
    let found = on(got, subject);
    assert_eq!(found.len(), 1, "{subject}: {got:?}");
    let told: Value = serde_json::from_str(&found[0].payload).expect("it is JSON");
    assert_eq!(told["id"].as_str().map(str::len), Some(22), "{told}");
    assert_eq!(told["timestamp"], "2027-01-15T08:00:00Z");
    told
}

#[test]
fn what_comes_and_goes_is_told() {
    let mut server = Server::new();
    server.subscribe("$JS.EVENT.ADVISORY.STREAM.>");
    server.subscribe("$JS.EVENT.ADVISORY.CONSUMER.>");
    let definition = r#"{"name":"S","subjects":["s"]}"#;
    let consumer = r#"{"stream_name":"S","config":{"name":"c","durable_name":"c","ack_policy":"explicit"}}"#;
    let steps = [
        ("STREAM.CREATE.S", definition, "STREAM.CREATED.S", "stream_action", "create"),
        ("CONSUMER.CREATE.S.c", consumer, "CONSUMER.CREATED.S.c", "consumer_action", "create"),
        ("CONSUMER.DELETE.S.c", "", "CONSUMER.DELETED.S.c", "consumer_action", "delete"),
        (
            "STREAM.UPDATE.S",
            r#"{"name":"S","subjects":["t"]}"#,
            "STREAM.UPDATED.S",
            "stream_action",
            "modify",
        ),
        ("STREAM.DELETE.S", "", "STREAM.DELETED.S", "stream_action", "delete"),
    ];
    for (request, body, subject, r#type, action) in steps {
        let got = server.ask(request, body);
        let told = told(&got, &format!("$JS.EVENT.ADVISORY.{subject}"));
        assert_eq!(told["type"], format!("io.nats.jetstream.advisory.v1.{type}"));
        assert_eq!((&told["action"], &told["stream"]), (&Value::from(action), &Value::from("S")));
        assert_eq!(told.get("consumer").is_some(), request.starts_with("CONSUMER"));
    }
}

#[test]
fn what_becomes_of_messages_is_told() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s"]}"#);
    server.consumer("S", "c", r#","max_deliver":1,"sample_freq":"100%""#);
    server.subscribe("$JS.EVENT.ADVISORY.CONSUMER.>");
    server.subscribe("$JS.EVENT.METRIC.CONSUMER.ACK.>");
    server.store(&["s", "s", "s"]);
    let deliveries = server.pull("S", "c", 3);
    let got = server.say(&deliveries[0], "+ACK");
    let metric = told(&got, "$JS.EVENT.METRIC.CONSUMER.ACK.S.c");
    assert_eq!(metric["type"], "io.nats.jetstream.metric.v1.consumer_ack");
    assert_eq!((&metric["stream_seq"], &metric["ack_time"]), (&Value::from(1), &Value::from(0)));
    let got = server.say(&deliveries[1], "-NAK");
    assert_eq!(told(&got, "$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.S.c")["deliveries"], 1);
    let exhausted = told(&got, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.c");
    assert_eq!(exhausted["type"], "io.nats.jetstream.advisory.v1.max_deliver");
    assert_eq!((&exhausted["stream_seq"], exhausted.get("consumer_seq")), (&Value::from(2), None));
    let got = server.say(&deliveries[2], "+TERM broken");
    assert_eq!(told(&got, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.S.c")["reason"], "broken");
}

#[test]
fn a_pause_and_a_pinned_client_are_told() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s"]}"#);
    let members =
        r#","priority_groups":["g"],"priority_policy":"pinned_client","priority_timeout":1000000000"#;
    server.consumer("S", "c", members);
    server.subscribe("$JS.EVENT.ADVISORY.CONSUMER.>");
    let got = server.ask("CONSUMER.PAUSE.S.c", r#"{"pause_until":"2030-01-01T00:00:00Z"}"#);
    let paused = told(&got, "$JS.EVENT.ADVISORY.CONSUMER.PAUSE.S.c");
    assert_eq!(
        (&paused["paused"], &paused["pause_until"]),
        (&Value::from(true), &Value::from("2030-01-01T00:00:00Z"))
    );
    let got = server.ask("CONSUMER.PAUSE.S.c", "{}");
    assert_eq!(told(&got, "$JS.EVENT.ADVISORY.CONSUMER.PAUSE.S.c")["paused"], false);
    server.store(&["s"]);
    let got = server.ask("CONSUMER.MSG.NEXT.S.c", r#"{"batch":1,"expires":5000000000,"group":"g"}"#);
    let pinned = told(&got, "$JS.EVENT.ADVISORY.CONSUMER.PINNED.S.c");
    assert_eq!((&pinned["account"], &pinned["group"]), (&Value::from("$G"), &Value::from("g")));
}
