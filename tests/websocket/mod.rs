//! WebSockets on the HTTP door: the handshake, frames as hostile clients send them, and the two forms of conversation.

mod follow;
mod frames;
mod handshake;
mod json;

use crate::support::process::Server;
use crate::support::websocket::{BINARY, WebSocket};

/// A server with its HTTP door open.
fn server(arguments: &[&str]) -> Server {
    Server::quartet(&[&["--http-port", "0"], arguments].concat())
}

/// A client that speaks NATS' bytes and was greeted.
fn connect(server: &Server) -> WebSocket {
    let mut socket = open(server, &[]);
    assert!(socket.stream_until("\r\n").starts_with("INFO {"));
    socket.send(BINARY, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    socket.stream_until("PONG\r\n");
    socket
}

#[track_caller]
fn open(server: &Server, headers: &[(&str, &str)]) -> WebSocket {
    WebSocket::open(server.http_address(), headers).expect("it becomes a WebSocket")
}
