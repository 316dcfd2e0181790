//! A load that costs little: connections that send a request, wait for its answer and send the next.
//!
//! `benches/locks.py durable` runs it, since with tens of thousands of requests a second on two cores a generator in
//! Python is what is measured.  Its arguments are the port and how often each connection goes through its requests; on
//! standard input comes a JSON array that has an array of requests for each connection.  It prints the seconds taken.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quartet::clock::Clock;

/// Nothing that is asked here is answered with more.
const ANSWER_LENGTH_MAX: usize = 16 * 1024;

/// What an answer begins with that is not a refusal: of RESP an array, a map or a number, or success over HTTP.
const WANTED: &[&[u8]] = &[b"*", b"%", b":", b"HTTP/1.1 200 "];

struct Client {
    stream: TcpStream,
    requests: Vec<String>,
    /// How many requests have been sent.
    sent: usize,
    /// What has come of an answer that is not whole.
    answer: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, turns] = &arguments[..] else { return Err("give a port and a number of turns".into()) };
    let (port, turns): (u16, usize) = (port.parse()?, turns.parse()?);
    let requests: Vec<Vec<String>> = serde_json::from_reader(std::io::stdin())?;
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(requests.len());
    for requests in requests {
        let stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(clients.len()), Interest::READABLE)?;
        clients.push(Client { stream, requests, sent: 0, answer: Vec::new() });
    }
    let clock = Clock::machine();
    let began = clock.now().micros();
    for client in &mut clients {
        client.send()?;
    }
    let mut events = Events::with_capacity(clients.len());
    let mut busy = clients.len();
    // One for all, and made once: the load shares the processor with what it measures.
    let mut buffer = [0; ANSWER_LENGTH_MAX];
    while busy > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let client = &mut clients[event.token().0];
            if !client.receive(&mut buffer)? {
            } else if client.sent == turns * client.requests.len() {
                busy -= 1;
            } else {
                client.send()?;
            }
        }
    }
    println!("{}", (clock.now().micros() - began) as f64 / 1e6);
    Ok(())
}

impl Client {
    /// Sends the next request.  It fits into the buffer of a socket that has nothing else to send.
    fn send(&mut self) -> std::io::Result<()> {
        self.stream.write_all(self.requests[self.sent % self.requests.len()].as_bytes())?;
        self.sent += 1;
        Ok(())
    }

    /// Takes what has come; true once the answer is whole.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool, Box<dyn Error>> {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.answer.extend_from_slice(&buffer[..length]);
        if self.answer.len() > ANSWER_LENGTH_MAX || !WANTED.iter().any(|start| self.answer.starts_with(start))
        {
            return Err(format!("not the answer: {}", String::from_utf8_lossy(&self.answer)).into());
        }
        let is_whole = is_whole(&self.answer);
        if is_whole {
            self.answer.clear();
        }
        Ok(is_whole)
    }
}

/// An answer in RESP is shorter than a packet and comes at once; one over HTTP says how long it is, or comes in chunks.
fn is_whole(answer: &[u8]) -> bool {
    if !answer.starts_with(b"HTTP") {
        return answer.ends_with(b"\r\n");
    }
    let Some(end) = memmem::find(answer, b"\r\n\r\n") else { return false };
    let (head, body) = (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), &answer[end + 4..]);
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.map_or_else(|| body.ends_with(b"0\r\n\r\n"), |length| body.len() >= length)
}
