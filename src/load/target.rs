//! The server that is driven: its address, the secrets it asks for, and connections to it that are ready to be used.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::clock::Clock;

use super::line::Line;

/// The protocols that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RESP2.
    Resp,
    /// NATS' client protocol.
    Nats,
    /// HTTP/1.1.
    Http,
}

impl Protocol {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::Resp => "RESP",
            Protocol::Nats => "NATS",
            Protocol::Http => "HTTP",
        }
    }

    /// The port that servers usually have for it.
    pub(super) fn port(self) -> u16 {
        match self {
            Protocol::Resp => 6379,
            Protocol::Nats => 4222,
            Protocol::Http => 8080,
        }
    }
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// How it is called in reports: the name it was given, or its address as it was typed.
    pub(super) name: String,
    /// The host as it was typed.
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) user: String,
    pub(super) password: String,
    /// The longest wait for an answer.
    pub(super) patience: Duration,
    pub(super) clock: Arc<Clock>,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) patience: Duration,
    pub(super) clock: Arc<Clock>,
}

impl Target {
    /// Reads `[name=]host:port`, `host`, `:port` or `port`.
    ///
    /// # Errors
    /// If it is none of these, or no such host is known.
    pub(super) fn parse(text: &str, protocol: Protocol, access: &Access) -> Result<Target, String> {
        let (name, place) = text.split_once('=').unwrap_or((text, text));
        let place = ["redis://", "nats://", "http://"]
            .iter()
            .find_map(|scheme| place.strip_prefix(scheme))
            .unwrap_or(place)
            .trim_end_matches('/');
        let wrong =
            |why: &str| format!("\"{text}\" is no server: {why} (write host:port, or name=host:port)");
        let (host, port) = host_and_port(place, protocol.port()).ok_or_else(|| wrong("its port is none"))?;
        let found = (host.as_str(), port).to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        // Servers listen on IPv4 more often.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *address.ok_or_else(|| wrong("its host has no address"))?;
        let Access { user, password, patience, clock } = access.clone();
        Ok(Target { name: name.to_owned(), host, address, protocol, user, password, patience, clock })
    }

    /// Where it is, for texts.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.address.port())
    }

    /// Whether it runs on this machine.
    pub(super) fn is_local(&self) -> bool {
        // Only an address of the machine can be bound.
        self.address.ip().is_loopback() || UdpSocket::bind((self.address.ip(), 0)).is_ok()
    }

    /// A sentence about the server as an error.
    pub(super) fn fault(&self, what: &str) -> String {
        format!("{}: {what}", self.place())
    }

    /// A connection on which `greeting` was said, after the words with which every connection of the protocol begins.
    ///
    /// # Errors
    /// If there is none, or the server does not let it in.
    pub(super) fn connect(&self, greeting: &[u8]) -> Result<Line, String> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience)
            .map_err(|error| self.unreachable(&error))?;
        stream.set_nodelay(true).map_err(|error| self.fault(&error.to_string()))?;
        let mut line = Line::new(stream, self.protocol, Arc::clone(&self.clock), self.patience);
        let greeted = match self.protocol {
            Protocol::Resp => self.greet_resp(&mut line),
            Protocol::Nats => self.greet_nats(&mut line, greeting),
            Protocol::Http => Ok(()),
        };
        greeted.map(|()| line).map_err(|why| self.fault(&why))
    }

    fn unreachable(&self, error: &std::io::Error) -> String {
        let start = match self.protocol {
            Protocol::Resp => "quartet --port",
            Protocol::Nats => "quartet --broker-port",
            Protocol::Http => "quartet --http-port",
        };
        let port = self.address.port();
        format!(
            "cannot connect to {}: {error}; start a server with `{start} {port}`, or name another one with --server",
            self.place()
        )
    }

    fn greet_resp(&self, line: &mut Line) -> Result<(), String> {
        if !self.password.is_empty() {
            let words: Vec<&str> = match self.user.as_str() {
                "" => vec!["AUTH", &self.password],
                user => vec!["AUTH", user, &self.password],
            };
            line.command(&words)?;
        }
        line.command(&["PING"]).map(|_| ()).map_err(|error| {
            if error.starts_with("NOAUTH") {
                format!("{error} Name a password with --password.")
            } else {
                error
            }
        })
    }

    fn greet_nats(&self, line: &mut Line, greeting: &[u8]) -> Result<(), String> {
        line.until_info()?;
        let mut facts = serde_json::json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "lang": "quartet bench",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1,
        });
        if !self.password.is_empty() {
            if self.user.is_empty() {
                facts["auth_token"] = self.password.as_str().into();
            } else {
                facts["user"] = self.user.as_str().into();
            }
            facts["pass"] = self.password.as_str().into();
        }
        line.say(format!("CONNECT {facts}\r\n").as_bytes())?;
        line.say(greeting)?;
        line.until_pong()
    }

    /// The lines of every request over HTTP.
    pub(super) fn http_headers(&self) -> String {
        let mut headers = format!("Host: {}\r\n", self.place());
        if !self.password.is_empty() {
            // Encoded, since a header loses the spaces at its end, and cannot hold every byte.
            let pair = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
            headers += &format!("Authorization: Basic {pair}\r\n");
        }
        headers
    }
}

/// Divides `host:port`, in which either may be missing.
fn host_and_port(place: &str, default: u16) -> Option<(String, u16)> {
    const HERE: &str = "127.0.0.1";
    if let Ok(port) = place.parse() {
        return Some((HERE.to_owned(), port));
    }
    // An address of IPv6 has colons itself, and stands in brackets if a port follows.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port = port.map_or(Some(default), |port| port.parse().ok()).filter(|port| *port > 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((if host.is_empty() { HERE } else { host }.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_written_in_many_ways() {
        let access = Access {
            user: String::new(),
            password: String::new(),
            patience: Duration::from_secs(1),
            clock: Arc::new(Clock::machine()),
        };
        for (text, name, address) in [
            ("127.0.0.1:7000", "127.0.0.1:7000", "127.0.0.1:7000"),
            ("7000", "7000", "127.0.0.1:7000"),
            (":7000", ":7000", "127.0.0.1:7000"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1:6379"),
            ("peer=127.0.0.1:1", "peer", "127.0.0.1:1"),
            ("redis://127.0.0.1:2/", "redis://127.0.0.1:2/", "127.0.0.1:2"),
            ("[::1]:3", "[::1]:3", "[::1]:3"),
            ("::1", "::1", "[::1]:6379"),
        ] {
            let target = Target::parse(text, Protocol::Resp, &access).expect(text);
            assert_eq!((target.name.as_str(), target.address.to_string().as_str()), (name, address));
        }
        for text in ["127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:0", "name=127.0.0.1:-1"] {
            let error = Target::parse(text, Protocol::Resp, &access).expect_err(text);
            assert!(error.starts_with(&format!("\"{text}\" is no server: ")), "{error}");
        }
    }
}
