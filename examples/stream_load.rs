//! A load on the streams of a server that speaks NATS' protocol, from one thread over plain connections.
//!
//! `benches/streams.py` runs it: a generator in Python would be slower than the servers.  It reads JSON from standard
//! input, the port and the work, and prints JSON: the seconds taken, and of publishers how long their messages waited
//! for an acknowledgement.  It ends with an error if a message is refused, if the server closes a connection, or after two
//! minutes.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use memchr::{memchr, memmem};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quartet::clock::Clock;
use serde::Deserialize;

/// Read at once.
const BUFFER_LENGTH: usize = 256 * 1024;

/// After so many microseconds the load ends with an error.
const MICROS_MAX: u64 = 120_000_000;

/// How often it is looked whether that time is over.
const PATIENCE: Duration = Duration::from_millis(500);

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
                       \"lang\":\"load\",\"version\":\"1\",\"protocol\":1}\r\n";

#[derive(Deserialize)]
struct Load {
    port: u16,
    work: Work,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Work {
    /// Messages that are acknowledged, so many of each publisher in flight; on `subject`, or if `subjects` are more than one, on
    /// `subject.0` and so on in turn.  With ids, each has one of its own.
    Publish {
        subject: String,
        subjects: usize,
        publishers: usize,
        in_flight: usize,
        messages: usize,
        size: usize,
        has_ids: bool,
    },
    /// Readers that get all messages.  Each subscribes to its subject and then sends its request for a consumer.
    Push { readers: Vec<Reader>, messages: usize },
    /// Workers that pull the messages of one consumer from `subject`, and may acknowledge them.
    Pull { subject: String, workers: usize, batch: usize, messages: usize, acknowledges: bool },
}

#[derive(Deserialize)]
struct Reader {
    deliver_subject: String,
    request_subject: String,
    request: String,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of the output is sent.
    sent: usize,
}

/// A message from the server.
struct Message<'i> {
    subject: &'i [u8],
    reply: &'i [u8],
    headers: &'i [u8],
    payload: &'i [u8],
}

/// The next thing in the input, with its length.
enum Frame<'i> {
    Message(usize, Message<'i>),
    Ping(usize),
    Other(usize),
    Incomplete,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Load { port, work } = serde_json::from_reader(std::io::stdin())?;
    match work {
        Work::Publish { .. } => publish(port, &work),
        Work::Push { readers, messages } => push(port, &readers, messages),
        Work::Pull { subject, workers, batch, messages, acknowledges } => {
            pull(port, &subject, workers, batch, messages, acknowledges)
        }
    }
}

fn publish(port: u16, work: &Work) -> Result<(), Box<dyn Error>> {
    let Work::Publish { subject, subjects, publishers, in_flight, messages, size, has_ids } = work else {
        return Err("no publishers".into());
    };
    let mut connections = open(port, *publishers)?;
    let clock = Clock::machine();
    let payload = vec![b'x'; *size];
    let mut sent_at: Vec<u64> = Vec::with_capacity(*messages);
    let mut line = String::new();
    let mut send = |number: usize, sent_at: &mut Vec<u64>, output: &mut Vec<u8>| {
        let index = sent_at.len();
        line.clear();
        let headers =
            if *has_ids { format!("NATS/1.0\r\nNats-Msg-Id: {index}\r\n\r\n") } else { String::new() };
        line.push_str(if *has_ids { "HPUB " } else { "PUB " });
        line.push_str(subject);
        // Writing into a text cannot fail.
        if *subjects > 1 {
            let _ = write!(line, ".{}", index % subjects);
        }
        let _ = write!(line, " load.{number}.{index} ");
        if *has_ids {
            let _ = write!(line, "{} ", headers.len());
        }
        let _ = write!(line, "{}\r\n{headers}", headers.len() + size);
        output.extend_from_slice(line.as_bytes());
        output.extend_from_slice(&payload);
        output.extend_from_slice(b"\r\n");
        sent_at.push(clock.now().micros());
    };
    for (number, connection) in connections.iter_mut().enumerate() {
        write!(connection.output, "SUB load.{number}.* 1\r\n")?;
        for _ in 0..(*in_flight).min(messages - sent_at.len()) {
            send(number, &mut sent_at, &mut connection.output);
        }
    }
    let mut waits: Vec<u64> = Vec::with_capacity(*messages);
    let seconds = run(&mut connections, |number, message, output| {
        let is_stored = memmem::find(message.payload, b"\"seq\":").is_some();
        if !is_stored || memmem::find(message.payload, b"\"error\"").is_some() {
            return Err(format!("refused: {}", String::from_utf8_lossy(message.payload)).into());
        }
        let index = message.subject.rsplit(|byte| *byte == b'.').next();
        let index: usize = std::str::from_utf8(index.unwrap_or_default())?.parse()?;
        waits.push(clock.now().micros() - sent_at[index]);
        if sent_at.len() < *messages {
            send(number, &mut sent_at, output);
        }
        Ok(waits.len() == *messages)
    })?;
    waits.sort_unstable();
    let (middle, late) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    println!("{{\"seconds\":{seconds},\"p50_micros\":{middle},\"p99_micros\":{late}}}");
    Ok(())
}

fn push(port: u16, readers: &[Reader], messages: usize) -> Result<(), Box<dyn Error>> {
    let mut connections = open(port, readers.len())?;
    for (connection, reader) in connections.iter_mut().zip(readers) {
        let Reader { deliver_subject, request_subject, request } = reader;
        write!(
            connection.output,
            "SUB {deliver_subject} 1\r\nSUB load.answer 2\r\nPUB {request_subject} load.answer {}\r\n{request}\r\n",
            request.len()
        )?;
    }
    let (mut got, mut done) = (vec![0; readers.len()], 0);
    let seconds = run(&mut connections, |number, message, output| {
        if message.subject == b"load.answer" {
            return refused(&message).map_or(Ok(false), Err);
        }
        match status(&message) {
            Some(_) => answer_flow_control(&message, output),
            None => {
                got[number] += 1;
                done += usize::from(got[number] == messages);
            }
        }
        Ok(done == got.len())
    })?;
    println!("{{\"seconds\":{seconds}}}");
    Ok(())
}

fn pull(
    port: u16,
    subject: &str,
    workers: usize,
    batch: usize,
    messages: usize,
    acknowledges: bool,
) -> Result<(), Box<dyn Error>> {
    let mut connections = open(port, workers)?;
    let request = |number: usize, batch: usize, output: &mut Vec<u8>| {
        let body = format!("{{\"batch\":{batch},\"expires\":60000000000}}");
        write!(output, "PUB {subject} load.{number} {}\r\n{body}\r\n", body.len())
    };
    for (number, connection) in connections.iter_mut().enumerate() {
        write!(connection.output, "SUB load.{number} 1\r\n")?;
        request(number, batch, &mut connection.output)?;
    }
    let (mut wanted, mut got) = (vec![batch; workers], 0);
    let seconds = run(&mut connections, |number, message, output| {
        match status(&message) {
            Some(_) => wanted[number] = 0,
            None => {
                got += 1;
                wanted[number] = wanted[number].saturating_sub(1);
                if acknowledges {
                    output.extend_from_slice(b"PUB ");
                    output.extend_from_slice(message.reply);
                    output.extend_from_slice(b" 4\r\n+ACK\r\n");
                }
            }
        }
        // The next messages are on their way while these are worked on.
        if wanted[number] <= batch / 2 {
            request(number, batch - wanted[number], output)?;
            wanted[number] = batch;
        }
        Ok(got >= messages)
    })?;
    println!("{{\"seconds\":{seconds}}}");
    Ok(())
}

/// The code of a status, if the message is one.
fn status<'m>(message: &Message<'m>) -> Option<&'m [u8]> {
    message.headers.strip_prefix(b"NATS/1.0 ")
}

/// Tells the server that a reader has come so far, if it asks.
fn answer_flow_control(message: &Message<'_>, output: &mut Vec<u8>) {
    const STALLED: &[u8] = b"Nats-Consumer-Stalled: ";
    let stalled = memmem::find(message.headers, STALLED).map(|at| &message.headers[at + STALLED.len()..]);
    let stalled = stalled.and_then(|rest| rest.split(|byte| *byte == b'\r').next());
    let subject = if message.reply.is_empty() { stalled.unwrap_or_default() } else { message.reply };
    if !subject.is_empty() {
        output.extend_from_slice(b"PUB ");
        output.extend_from_slice(subject);
        output.extend_from_slice(b" 0\r\n\r\n");
    }
}

fn refused(answer: &Message<'_>) -> Option<Box<dyn Error>> {
    let is_error = memmem::find(answer.payload, b"\"error\"").is_some();
    is_error.then(|| format!("refused: {}", String::from_utf8_lossy(answer.payload)).into())
}

fn open(port: u16, count: usize) -> Result<Vec<Connection>, Box<dyn Error>> {
    (0..count).map(|_| Connection::open(port)).collect()
}

/// Sends the messages and reads every answer until the work is done.  Returns how many seconds it took.
fn run(
    connections: &mut [Connection],
    mut see: impl FnMut(usize, Message<'_>, &mut Vec<u8>) -> Result<bool, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    for (number, connection) in connections.iter_mut().enumerate() {
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(number), interest)?;
    }
    let mut events = Events::with_capacity(connections.len());
    let mut buffer = vec![0; BUFFER_LENGTH];
    let clock = Clock::machine();
    let began = clock.now().micros();
    connections.iter_mut().try_for_each(Connection::send)?;
    loop {
        poll.poll(&mut events, Some(PATIENCE))?;
        for event in &events {
            let number = event.token().0;
            let connection = &mut connections[number];
            let (mut is_done, mut may_have_more) = (false, event.is_readable());
            while may_have_more {
                may_have_more = connection.receive(&mut buffer)?;
                let mut at = 0;
                loop {
                    let length = match next(&connection.input[at..])? {
                        Frame::Message(length, message) => {
                            is_done |= see(number, message, &mut connection.output)?;
                            length
                        }
                        Frame::Ping(length) => {
                            connection.output.extend_from_slice(b"PONG\r\n");
                            length
                        }
                        Frame::Other(length) => length,
                        Frame::Incomplete => break,
                    };
                    at += length;
                }
                connection.input.drain(..at);
                connection.send()?;
            }
            // The socket may take more now.
            connection.send()?;
            if is_done {
                return Ok((clock.now().micros() - began) as f64 / 1e6);
            }
        }
        if clock.now().micros() - began > MICROS_MAX {
            return Err("it takes too long".into());
        }
    }
}

impl Connection {
    fn open(port: u16) -> Result<Connection, Box<dyn Error>> {
        let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.write_all(CONNECT.as_bytes())?;
        stream.write_all(b"PING\r\n")?;
        let (mut greeting, mut buffer) = (Vec::new(), [0; 4096]);
        while memmem::find(&greeting, b"PONG\r\n").is_none() {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Err("the server closed a connection".into());
            }
            greeting.extend_from_slice(&buffer[..length]);
        }
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Connection { stream, input: Vec::new(), output: Vec::new(), sent: 0 })
    }

    /// Sends as much as the socket takes.
    fn send(&mut self) -> std::io::Result<()> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once.  Whether there may be more to read.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool, Box<dyn Error>> {
        match self.stream.read(buffer) {
            Ok(0) => Err("the server closed a connection".into()),
            Ok(length) => {
                self.input.extend_from_slice(&buffer[..length]);
                Ok(length == buffer.len())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The first thing in the input.
fn next(input: &[u8]) -> Result<Frame<'_>, Box<dyn Error>> {
    let Some(end) = memchr(b'\n', input) else { return Ok(Frame::Incomplete) };
    let line = &input[..end.saturating_sub(1)];
    let (words, has_headers) = match line.split_first_chunk::<4>() {
        Some((b"MSG ", words)) => (words, false),
        Some((b"HMSG", words)) => (&words[1..], true),
        Some((b"PING", _)) => return Ok(Frame::Ping(end + 1)),
        Some((b"-ERR", _)) => return Err(String::from_utf8_lossy(line).into()),
        _ => return Ok(Frame::Other(end + 1)),
    };
    // The subject, the subscription, perhaps a reply subject, perhaps the length of the headers, the length.
    let mut parts = [&[][..]; 5];
    let mut count = 0;
    for word in words.split(|byte| *byte == b' ').take(parts.len()) {
        parts[count] = word;
        count += 1;
    }
    let lengths = 1 + usize::from(has_headers);
    if count < 2 + lengths {
        return Err(format!("not a message: {}", String::from_utf8_lossy(line)).into());
    }
    let number = |word: &[u8]| -> Result<usize, Box<dyn Error>> { Ok(std::str::from_utf8(word)?.parse()?) };
    let length = number(parts[count - 1])?;
    let headers = if has_headers { number(parts[count - 2])? } else { 0 };
    let Some(body) = input.get(end + 1..end + 1 + length + 2) else { return Ok(Frame::Incomplete) };
    let reply = if count > 2 + lengths { parts[2] } else { &[] };
    let (headers, payload) = body[..length].split_at(headers);
    Ok(Frame::Message(end + 1 + body.len(), Message { subject: parts[0], reply, headers, payload }))
}
