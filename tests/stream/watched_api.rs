//! The event of a request of the API tells of the client that has sent it what nats-server tells.

use serde_json::{Value, json};

use crate::support::broker::BrokerClient;
use crate::support::peers;
use crate::support::process::{Folder, Server};

/// Who the events of the API are told to.
struct Watcher(BrokerClient);

impl Watcher {
    fn of(server: &Server) -> Watcher {
        let mut client = BrokerClient::quiet(server.broker_address());
        client.write("SUB $JS.EVENT.ADVISORY.API 1\r\n");
        client.flush();
        Watcher(client)
    }

    /// The next event as its text and as a value.
    fn next(&mut self) -> (String, Value) {
        let payload = self.0.delivered().payload;
        let text = String::from_utf8(payload).expect("an event is text");
        let value = serde_json::from_str(&text).expect("an event is JSON");
        (text, value)
    }
}

/// The names of an object's members, in their order.  None of its values is an object or has a comma.
fn members(object: &str) -> Vec<&str> {
    object.split(',').filter_map(|member| member.split('"').nth(1)).collect()
}

/// The event of a request that a client with a name sends.
fn event(server: &Server) -> (String, Value) {
    let mut watcher = Watcher::of(server);
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    let introduction = r#"{"verbose":false,"name":"orders","lang":"go","version":"1.2.3"}"#;
    client.write(format!("CONNECT {introduction}\r\n"));
    client.flush();
    client.write("PUB $JS.API.STREAM.INFO.S reply 0\r\n\r\n");
    let (text, told) = watcher.next();
    assert_eq!(told["client"]["id"], info["client_id"]);
    assert_eq!((&told["server"], &told["client"]["server"]), (&info["server_name"], &info["server_name"]));
    let is_time = |value: &Value| value.as_str().is_some_and(|time| time.ends_with('Z'));
    assert!(is_time(&told["client"]["start"]), "{told}");
    (text, told)
}

/// What the events of two servers have in common: the names of all members but that of a time which is known after a while, and the
/// facts of the client that do not change from run to run.
fn facts((text, told): (String, Value)) -> (Vec<String>, Vec<String>, Value) {
    let (before, rest) = text.split_once("\"client\":{").expect("it has a client");
    let (client, _) = rest.split_once('}').expect("the object ends");
    let names = |object: &str| -> Vec<String> {
        members(object).into_iter().filter(|name| *name != "rtt").map(str::to_owned).collect()
    };
    let client_facts = ["host", "acc", "name", "lang", "ver", "kind", "client_type"];
    let facts = client_facts.map(|name| told["client"][name].clone());
    (names(before), names(client), json!(facts))
}

#[test]
fn the_client_of_a_request_is_told_as_by_nats_server() {
    let server = Server::quartet(&["--broker-port", "0"]);
    let ours = facts(event(&server));
    assert_eq!(ours.2, json!(["127.0.0.1", "$G", "orders", "go", "1.2.3", "Client", "nats"]));
    let Some(program) = peers::nats_server() else { return };
    let folder = Folder::new();
    let nats = Server::nats(
        &program,
        0,
        &format!("server_name: orders-1\njetstream {{ store_dir: {:?} }}", folder.path()),
    );
    assert_eq!(ours, facts(event(&nats)));
}
