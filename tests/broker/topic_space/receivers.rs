//! Subscribers of every listener.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use redis_protocol::resp3::types::{OwnedFrame, Resp3Frame};
use serde_json::Value;

use super::Message;
use crate::support::broker::{BrokerClient, Delivered};
use crate::support::client::Client;
use crate::support::feeds::{next, subscribe};
use crate::support::http::Http;
use crate::support::json_socket::JsonSocket;
use crate::support::process::Server;
use crate::support::websocket::{BINARY, WebSocket};

/// A subscriber, which waits for its next message.
pub(super) enum Receiver {
    /// A client of NATS that takes headers.
    Nats(BrokerClient),
    /// One that does not.
    NatsWithoutHeaders(BrokerClient),
    /// NATS' bytes in a WebSocket, with headers.
    WebSocket(WebSocket),
    /// The JSON form of WebSocket.
    Json(JsonSocket),
    /// A feed of server-sent events or of lines.
    Feed(Http),
    /// A client of RESP.
    Resp(Client),
}

impl Receiver {
    /// With the broker's protocol.
    pub(super) fn nats(server: &Server, pattern: &str) -> Receiver {
        let mut client = BrokerClient::quiet(server.broker_address());
        client.write(format!("SUB {pattern} 1\r\n"));
        client.flush();
        Receiver::Nats(client)
    }

    /// The same without headers.
    pub(super) fn nats_without_headers(server: &Server, pattern: &str) -> Receiver {
        let (mut client, _) = BrokerClient::connect(server.broker_address());
        client.write(format!("CONNECT {{\"verbose\":false}}\r\nSUB {pattern} 1\r\n"));
        client.flush();
        Receiver::NatsWithoutHeaders(client)
    }

    /// NATS' bytes in a WebSocket.
    pub(super) fn websocket(server: &Server, pattern: &str) -> Receiver {
        let mut socket = WebSocket::open(server.http_address(), &[]).expect("it becomes a WebSocket");
        assert!(socket.stream_until("\r\n").starts_with("INFO {"));
        let connect = "CONNECT {\"verbose\":false,\"headers\":true}\r\n";
        socket.send(BINARY, format!("{connect}SUB {pattern} 1\r\nPING\r\n"));
        socket.stream_until("PONG\r\n");
        Receiver::WebSocket(socket)
    }

    /// The JSON form of WebSocket.
    pub(super) fn json(server: &Server, pattern: &str) -> Receiver {
        let mut socket = JsonSocket::connect(server.http_address());
        let operation = serde_json::json!({"op": "subscribe", "subject": pattern});
        assert_eq!(socket.ask(&operation.to_string())["op"], "subscribed");
        Receiver::Json(socket)
    }

    /// What stands behind `/subscribe`, as server-sent events.
    pub(super) fn events(server: &Server, path: &str) -> Receiver {
        Receiver::Feed(subscribe(server, &format!("/subscribe{path}"), "text/event-stream"))
    }

    /// The same as lines.
    pub(super) fn lines(server: &Server, path: &str) -> Receiver {
        Receiver::Feed(subscribe(server, &format!("/subscribe{path}"), "application/x-ndjson"))
    }

    /// SUBSCRIBE.
    pub(super) fn resp(server: &Server, channel: &[u8]) -> Receiver {
        let mut client = Client::connect(server.address());
        client.call(&[b"SUBSCRIBE", channel]);
        Receiver::Resp(client)
    }

    /// PSUBSCRIBE in RESP3.
    pub(super) fn resp_glob(server: &Server, glob: &str) -> Receiver {
        let mut client = Client::connect(server.address());
        client.hello();
        client.call(&["PSUBSCRIBE", glob]);
        Receiver::Resp(client)
    }

    /// One for each listener and form; together they are this many receivers of `space.news`.
    pub(super) fn all(server: &Server) -> Vec<(&'static str, Receiver)> {
        vec![
            ("nats", Receiver::nats(server, "space.*")),
            ("nats without headers", Receiver::nats_without_headers(server, ">")),
            ("websocket", Receiver::websocket(server, "space.news")),
            ("json", Receiver::json(server, "space.>")),
            ("events", Receiver::events(server, "/space.%3E")),
            ("lines", Receiver::lines(server, "/space.news")),
            ("resp", Receiver::resp(server, b"space.news")),
            ("resp glob", Receiver::resp_glob(server, "sp?ce.*")),
        ]
    }

    /// The next message, with what the listener tells of it.
    pub(super) fn next(&mut self) -> Message {
        match self {
            Receiver::Nats(client) | Receiver::NatsWithoutHeaders(client) => of_delivered(client.delivered()),
            Receiver::WebSocket(socket) => of_delivered(socket.delivered()),
            Receiver::Json(socket) => of_object(&socket.read()),
            Receiver::Feed(feed) => of_object(&next(feed)),
            Receiver::Resp(client) => of_frame(client.read().expect("the connection stays")),
        }
    }

    /// What of a message this listener tells.
    pub(super) fn told(&self, message: &Message) -> Message {
        let Message { subject, payload, .. } = message.clone();
        match self {
            Receiver::Resp(_) => Message { subject, payload, ..Message::default() },
            Receiver::NatsWithoutHeaders(_) => Message { headers: Vec::new(), ..message.clone() },
            _ => message.clone(),
        }
    }
}

fn of_delivered(delivered: Delivered) -> Message {
    assert_eq!(delivered.id, "1");
    let block = String::from_utf8(delivered.headers).expect("the test's headers are text");
    let mut lines = block.split("\r\n").filter(|line| !line.is_empty());
    assert!(lines.next().is_none_or(|line| line == "NATS/1.0"), "{block}");
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header has a colon");
        (name.to_owned(), value.to_owned())
    };
    Message {
        subject: delivered.subject,
        reply: delivered.reply,
        headers: lines.map(pair).collect(),
        payload: delivered.payload,
    }
}

fn of_object(object: &Value) -> Message {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for (name, values) in object["headers"].as_object().into_iter().flatten() {
        let several = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
        let value = |value: &Value| value.as_str().expect("a header is text").to_owned();
        headers.extend(several.iter().map(|one| (name.clone(), value(one))));
    }
    let payload = match object["base64"].as_str() {
        Some(base64) => STANDARD.decode(base64).expect("it is base64"),
        None => object["payload"].as_str().unwrap_or_else(|| panic!("no payload: {object}")).into(),
    };
    Message { subject: text("subject"), reply: text("reply"), headers, payload }
}

fn of_frame(frame: OwnedFrame) -> Message {
    let (OwnedFrame::Array { data, .. } | OwnedFrame::Push { data, .. }) = frame else {
        panic!("no message: {frame:?}");
    };
    let bytes = |frame: &OwnedFrame| frame.as_bytes().expect("it is a string").to_vec();
    let [.., subject, payload] = data.as_slice() else { panic!("no message: {data:?}") };
    Message {
        subject: String::from_utf8_lossy(&bytes(subject)).into_owned(),
        payload: bytes(payload),
        ..Message::default()
    }
}
