//! A WebSocket that speaks the JSON form: one object per frame.

use std::net::SocketAddr;

use serde_json::Value;

use super::websocket::{PING, PONG, TEXT, WebSocket};

const SUBPROTOCOL: (&str, &str) = ("Sec-WebSocket-Protocol", "quartet.json");

/// A client of the JSON form, over its WebSocket.
pub(crate) struct JsonSocket(pub(crate) WebSocket);

impl JsonSocket {
    /// A client that has read nothing yet.
    pub(crate) fn open(address: SocketAddr) -> JsonSocket {
        let socket = WebSocket::open(address, &[SUBPROTOCOL]).expect("it becomes a WebSocket");
        assert_eq!(socket.response.header("sec-websocket-protocol"), Some(SUBPROTOCOL.1));
        JsonSocket(socket)
    }

    /// A client that was greeted.
    pub(crate) fn connect(address: SocketAddr) -> JsonSocket {
        let mut json = JsonSocket::open(address);
        assert_eq!(json.read()["op"], "info");
        json
    }

    /// Sends an operation.
    pub(crate) fn send(&mut self, object: &str) {
        self.0.send(TEXT, object);
    }

    /// The object of the next frame.  Pings, which come when a test takes long, are answered.
    pub(crate) fn read(&mut self) -> Value {
        let (mut first, mut payload) = self.0.frame();
        while first == PING {
            self.0.send(PONG, payload);
            (first, payload) = self.0.frame();
        }
        assert_eq!(first, TEXT, "{}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).expect("it is JSON")
    }

    /// Sends an operation and reads what comes next.
    pub(crate) fn ask(&mut self, object: &str) -> Value {
        self.send(object);
        self.read()
    }

    /// The code of the error that the operation fails with, and its message.
    #[track_caller]
    pub(crate) fn fail(&mut self, object: &str) -> (String, String) {
        let answer = self.ask(object);
        assert_eq!(answer["op"], "error", "{object}: {answer}");
        let text = |name: &str| answer[name].as_str().expect("it is text").to_owned();
        (text("code"), text("message"))
    }
}
