//! The cost of the system alone: a server that answers every request with the same value and neither parses, looks up
//! nor keeps anything.  `quartet bench get --no-fill --compare` loads it beside Quartet as the floor that no server can go below.
//!
//!     plain_socket PORT

use std::io::{ErrorKind, Read, Write};

use memchr::memchr_iter;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// The answer to a GET of 64 bytes.
const ANSWER: &[u8] = b"$64\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";

const STORED: &[u8] = b"+OK\r\n";
const ALIVE: &[u8] = b"+PONG\r\n";

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;
const BUFFER_LENGTH: usize = 64 * 1024;

fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    println!("{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut streams: Slab<TcpStream> = Slab::new();
    let (mut input, mut output) = (vec![0; BUFFER_LENGTH], Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nodelay(true)?;
                        let entry = streams.vacant_entry();
                        poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
                        entry.insert(stream);
                    }
                }
                Token(number) => {
                    let Some(stream) = streams.get_mut(number) else { continue };
                    let is_over = match stream.read(&mut input) {
                        Ok(length) => length == 0 || answer(stream, &input[..length], &mut output).is_err(),
                        Err(error) => error.kind() != ErrorKind::WouldBlock,
                    };
                    if is_over {
                        streams.remove(number);
                    }
                }
            }
        }
    }
}

/// Writes one answer per request.  Requests are counted by their stars; the first one names the command of all.
fn answer(stream: &mut TcpStream, requests: &[u8], output: &mut Vec<u8>) -> std::io::Result<()> {
    let answer = match requests.get(8..11) {
        Some(b"SET") => STORED,
        Some(b"PIN") => ALIVE,
        _ => ANSWER,
    };
    output.clear();
    memchr_iter(b'*', requests).for_each(|_| output.extend_from_slice(answer));
    stream.write_all(output)
}
