//! Publishers of every listener.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Message;
use crate::support::broker::BrokerClient;
use crate::support::client::{Client, text};
use crate::support::http::Http;
use crate::support::json_socket::JsonSocket;
use crate::support::process::Server;
use crate::support::websocket::{BINARY, WebSocket};

/// A publisher, which waits until its message is delivered.
pub(super) enum Publisher {
    /// A client of RESP.
    Resp(Client),
    /// A client of NATS.
    Nats(BrokerClient),
    /// NATS' bytes in a WebSocket.
    WebSocket(WebSocket),
    /// The JSON form of WebSocket.
    Json(JsonSocket),
    /// `POST /publish/{subject}`.
    Post(Http),
    /// `POST /publish` with a batch of one line.
    Batch(Http),
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// It went to so many.
    To(usize),
    /// It went out; this listener does not tell to how many.
    Out,
    /// It was refused, with this code.
    Refused(String),
}

impl Publisher {
    /// One for each listener and form.
    pub(super) fn all(server: &Server) -> Vec<(&'static str, Publisher)> {
        let connect = "CONNECT {\"verbose\":false,\"headers\":true}\r\n";
        let mut socket = WebSocket::open(server.http_address(), &[]).expect("it becomes a WebSocket");
        socket.stream_until("\r\n");
        socket.send(BINARY, connect);
        vec![
            ("resp", Publisher::Resp(Client::connect(server.address()))),
            ("nats", Publisher::Nats(BrokerClient::quiet(server.broker_address()))),
            ("websocket", Publisher::WebSocket(socket)),
            ("json", Publisher::Json(JsonSocket::connect(server.http_address()))),
            ("post", Publisher::Post(Http::connect(server.http_address()))),
            ("batch", Publisher::Batch(Http::connect(server.http_address()))),
        ]
    }

    /// Whether it can give headers and a reply subject.
    pub(super) fn gives_headers(&self) -> bool {
        !matches!(self, Publisher::Resp(_))
    }

    /// Publishes a message.
    pub(super) fn publish(&mut self, message: &Message) -> Published {
        match self {
            Publisher::Resp(client) => {
                let reply = client.call(&[b"PUBLISH", message.subject.as_bytes(), &message.payload]);
                let reply = text(&reply);
                match reply.parse() {
                    Ok(count) => Published::To(count),
                    Err(_) => Published::Refused(reply.split(' ').next().unwrap_or_default().to_owned()),
                }
            }
            Publisher::Nats(client) => {
                client.write(frame(message));
                client.flush();
                Published::Out
            }
            Publisher::WebSocket(socket) => {
                socket.send(BINARY, [&frame(message)[..], b"PING\r\n"].concat());
                socket.stream_until("PONG\r\n");
                Published::Out
            }
            Publisher::Json(socket) => {
                let mut operation = object(message);
                operation["op"] = "publish".into();
                operation["ack"] = true.into();
                let answer = socket.ask(&operation.to_string());
                told(answer["receivers"].as_u64(), &answer["code"])
            }
            Publisher::Post(http) => {
                let mut path = format!("/publish/{}", escaped(&message.subject));
                if !message.reply.is_empty() {
                    path += &format!("?reply={}", escaped(&message.reply));
                }
                let headers: Vec<(&str, &str)> =
                    message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = http.ask("POST", &path, &headers, &message.payload);
                let json = answer.json();
                told(json["receivers"].as_u64(), &json["type"])
            }
            Publisher::Batch(http) => {
                let line = object(message).to_string();
                let form = [("Content-Type", "application/x-ndjson")];
                let json = http.ask("POST", "/publish", &form, line.as_bytes()).json();
                told(json["receivers"][0].as_u64(), &json["type"])
            }
        }
    }
}

fn told(receivers: Option<u64>, code: &Value) -> Published {
    match receivers {
        Some(count) => Published::To(usize::try_from(count).expect("there are few")),
        None => Published::Refused(code.as_str().expect("a refusal has a code").to_owned()),
    }
}

/// PUB, or HPUB if there are headers.
fn frame(message: &Message) -> Vec<u8> {
    let Message { subject, reply, headers, payload } = message;
    if headers.is_empty() {
        return [format!("PUB {subject} {reply} {}\r\n", payload.len()).as_bytes(), payload, b"\r\n"]
            .concat();
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let block = format!("NATS/1.0\r\n{lines}\r\n");
    let line = format!("HPUB {subject} {reply} {} {}\r\n", block.len(), block.len() + payload.len());
    [line.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat()
}

/// The object that the JSON form and a batch take.
fn object(message: &Message) -> Value {
    let mut object = json!({"subject": message.subject});
    match std::str::from_utf8(&message.payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => object["base64"] = STANDARD.encode(&message.payload).into(),
    }
    if !message.reply.is_empty() {
        object["reply"] = message.reply.clone().into();
    }
    for (name, value) in &message.headers {
        let values = &mut object["headers"][name];
        match values.as_array_mut() {
            Some(values) => values.push(value.clone().into()),
            None => *values = json!([value]),
        }
    }
    object
}

/// A part of a path, percent-encoded.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => escaped.push(char::from(byte)),
            _ => write!(escaped, "%{byte:02X}").expect("a string takes everything"),
        }
        escaped
    })
}
