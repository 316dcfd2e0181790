//! A small blocking HTTP/1.1 client, so that tests see every byte that a server sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A server that is silent for so long hangs; it bounds a broken run, no working one depends on it.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// One connection, kept open between requests.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// A client of an HTTP door, over a socket or within the process.
pub(crate) trait Ask {
    /// Sends a request with a body, or none if it is empty, and reads the response.
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response;
}

impl Ask for Http {
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Http::ask(self, method, path, headers, body)
    }
}

/// A response that was read whole.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// Connects without delaying small writes.
    pub(crate) fn connect(address: SocketAddr) -> Http {
        Http::over(TcpStream::connect(address).expect("the server listens"))
    }

    /// The same over a connection that was prepared.
    pub(crate) fn over(stream: TcpStream) -> Http {
        let address = stream.peer_addr().expect("it is connected");
        stream.set_nodelay(true).expect("the socket is open");
        stream.set_read_timeout(Some(HANG_GUARD)).expect("the time is not zero");
        Http { stream: BufReader::new(stream), address }
    }

    /// Asks for a path.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, &[], b"")
    }

    /// Sends a request with a body, or none if it is empty, and reads the response.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.write(&[head.as_bytes(), b"\r\n", body].concat());
        self.read(method).expect("the server closed the connection instead of answering")
    }

    /// The socket once more, to be written to by another thread.
    pub(crate) fn second_handle(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("the socket is open")
    }

    /// Writes `bytes` as they are; a server that closed meanwhile shows when reading.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// The response to a request with this method, or nothing once the server closed the connection.
    pub(crate) fn read(&mut self, method: &str) -> Option<Response> {
        let start = self.line()?;
        let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {start:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("the head is whole");
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let has_body = method != "HEAD" && !matches!(status, 100..200 | 204 | 304);
        if has_body {
            response.body = self.body(&response);
        }
        Some(response)
    }

    /// Whatever comes until the server closes the connection.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A connection that is reset has ended too.
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Exactly so many bytes.
    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("the server sends so much");
        bytes
    }

    /// Everything up to the end of `text`, for a response that has no end.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(text.as_bytes()) {
            bytes.extend(self.read_exact(1));
        }
        String::from_utf8(bytes).expect("it is text")
    }

    fn body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
            let mut body = Vec::new();
            loop {
                let size = self.line().expect("a chunk has a size");
                let size = usize::from_str_radix(&size, 16).expect("a size is a hexadecimal number");
                body.extend(self.read_exact(size));
                self.line().expect("a chunk ends with a line");
                if size == 0 {
                    return body;
                }
            }
        }
        match response.header("content-length") {
            Some(length) => self.read_exact(length.parse().expect("a length is a number")),
            None => self.read_to_end(),
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }
}

impl Response {
    /// The value of a header, if there is exactly one of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        value.filter(|_| values.next().is_none())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// Looks that this is a well-formed problem, and returns the last part of its address.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        assert!(body["title"].is_string(), "{body}");
        let address = body["type"].as_str().expect("a problem has a type");
        address.strip_prefix("/problems/").expect("a problem's address is relative to the server").to_owned()
    }
}
