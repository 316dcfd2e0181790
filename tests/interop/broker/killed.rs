//! A process of subscribers that is killed: its subscriptions end, and whoever wants to know is told.

use std::process::Command;

use serde_json::Value;

use crate::interop::program;
use crate::support::broker::BrokerClient;
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::{Server, wait_for};
use crate::support::program::Running;

/// The next event's subject, what it is, and the listener of its client.
fn event(watcher: &mut BrokerClient) -> (String, String, String) {
    let delivered = watcher.delivered();
    let event: Value = serde_json::from_slice(&delivered.payload).expect("an event is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (delivered.subject, text(&event["event"]), text(&event["listener"]))
}

#[test]
fn subscribers_of_a_killed_process_are_gone() {
    let Some(python) = peers::python(&["socket"]) else { return };
    let server = Server::quartet(&["--broker-port", "0", "--http-port", "0"]);
    let mut http = Http::connect(server.http_address());
    let mut count = || http.get("/subjects/room.1/subscribers").json()["count"].clone();
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $PRESENCE.room.1 1\r\n");
    watcher.flush();
    let mut command = Command::new(python);
    command.arg(program("python/subscribers.py"));
    let ports = [server.broker_address(), server.http_address(), server.address()];
    command.args(ports.map(|address| address.port().to_string()));
    let mut running = Running::start(command);
    running.wait_for_line("subscribed");
    let mut events = |event_name: &str| {
        let mut doors: Vec<String> = (0..4)
            .map(|_| {
                let (subject, event, door) = event(&mut watcher);
                assert_eq!((subject.as_str(), event.as_str()), ("$PRESENCE.room.1", event_name));
                door
            })
            .collect();
        doors.sort();
        assert_eq!(doors, ["broker", "http", "resp", "websocket"]);
    };
    events("joined");
    assert_eq!(count(), 4);
    running.kill();
    events("left");
    wait_for(|| (count() == 0).then_some(()));
    let mut publisher = BrokerClient::quiet(server.broker_address());
    // Nobody receives it any more, and the publisher is told.
    publisher.write("SUB answers 1\r\nPUB room.1 answers 0\r\n\r\n");
    assert!(publisher.delivered().headers.starts_with(b"NATS/1.0 503"));
}
