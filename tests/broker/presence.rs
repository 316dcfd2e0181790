//! Events of clients that come and go.

use serde_json::{Value, json};

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;

/// Reads the message of an event on this subject.
fn event(watcher: &mut BrokerClient, subject: &str) -> Value {
    let line = watcher.read_line();
    assert!(line.starts_with(&format!("MSG {subject} 1 ")), "{line}");
    serde_json::from_str(&watcher.read_line()).expect("an event is JSON")
}

/// The event without what differs from run to run.
fn facts(event: &Value) -> Value {
    let client = &event["client"];
    let fields = ["host", "acc", "user", "name", "lang", "ver", "kind", "client_type"];
    let named: serde_json::Map<String, Value> = fields
        .iter()
        .filter(|field| !client[**field].is_null())
        .map(|field| ((*field).to_owned(), client[*field].clone()))
        .collect();
    json!({ "type": event["type"], "client": named, "sent": event["sent"], "reason": event["reason"] })
}

#[test]
fn a_client_can_ask_as_whom_it_is_connected() {
    let server = server(&[]);
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    client.write("CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
    client.write("SUB _INBOX.x 1\r\n");
    client.write("PUB $SYS.REQ.USER.INFO _INBOX.x 0\r\n\r\n");
    let told = event(&mut client, "_INBOX.x");
    assert_eq!(told["data"], json!({ "user": "", "account": "$G", "account_name": "$G" }));
    assert_eq!((&told["server"]["id"], &told["server"]["host"]), (&info["server_id"], &json!("127.0.0.1")));
    assert_eq!((&told["server"]["jetstream"], &told["server"]["seq"]), (&json!(true), &json!(1)));
    // Without a reply subject nobody is told; other requests to the server are heard by nobody.
    client.write("PUB $SYS.REQ.USER.INFO 0\r\n\r\n");
    client.write("PUB $SYS.REQ.SERVER.PING _INBOX.x 0\r\n\r\n");
    let line = client.read_line();
    assert!(line.starts_with("HMSG _INBOX.x 1 "), "{line}");
}

#[test]
fn clients_come_and_go() {
    let server = server(&[]);
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $SYS.ACCOUNT.> 1\r\n");
    watcher.flush();
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    client.write("CONNECT {\"verbose\":false,\"name\":\"n\",\"lang\":\"l\",\"version\":\"v\"}\r\n");
    client.write("PUB a 3\r\nabc\r\n");
    client.flush();
    let come = event(&mut watcher, "$SYS.ACCOUNT.$G.CONNECT");
    let named = json!({
        "host": "127.0.0.1", "acc": "$G", "name": "n", "lang": "l", "ver": "v", "kind": "Client",
        "client_type": "nats"
    });
    let expected = json!({
        "type": "io.nats.server.advisory.v1.client_connect", "client": named, "sent": null, "reason": null
    });
    assert_eq!(facts(&come), expected);
    // As the answer to USER.INFO says it.
    assert_eq!((&come["server"]["jetstream"], &come["server"]["flags"]), (&json!(true), &json!(7)));
    assert_eq!(come["client"]["id"], info["client_id"]);
    assert_eq!(come["server"]["id"], info["server_id"]);
    drop(client);
    let gone = event(&mut watcher, "$SYS.ACCOUNT.$G.DISCONNECT");
    let expected = json!({
        "type": "io.nats.server.advisory.v1.client_disconnect", "client": named,
        "sent": { "msgs": 1, "bytes": 3 }, "reason": "Client Closed"
    });
    assert_eq!(facts(&gone), expected);
}

#[test]
fn the_reason_is_told() {
    let server = server(&["--broker-max-payload", "1kb"]);
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $SYS.ACCOUNT.*.DISCONNECT 1\r\n");
    watcher.flush();
    let mut reason_of = |end: &dyn Fn(BrokerClient)| {
        let mut client = BrokerClient::quiet(server.broker_address());
        client.flush();
        end(client);
        event(&mut watcher, "$SYS.ACCOUNT.$G.DISCONNECT")["reason"].clone()
    };
    assert_eq!(reason_of(&|mut client| client.write("PUB a 1025\r\n")), "Maximum Message Payload Exceeded");
    assert_eq!(reason_of(&|mut client| client.write("HELLO\r\n")), "Protocol Violation");
    let kill = |client: BrokerClient| {
        let mut redis = Client::connect(server.address());
        let ended = redis.ask(&format!("CLIENT KILL ADDR {}", client.address()));
        assert_eq!(ended, "1");
    };
    assert_eq!(reason_of(&kill), "Kicked");
}

#[test]
fn a_subscription_to_everything_is_not_disturbed() {
    let server = server(&[]);
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB > 1\r\nSUB *.ACCOUNT.> 2\r\n");
    watcher.flush();
    drop(BrokerClient::quiet(server.broker_address()));
    let mut other = BrokerClient::quiet(server.broker_address());
    other.write("PUB _INBOX.a 1\r\nx\r\n");
    watcher.expect("MSG _INBOX.a 1 1\r\nx\r\n");
    watcher.flush();
}
