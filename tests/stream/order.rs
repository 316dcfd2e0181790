//! Requests and messages of one connection take effect in their order: what is written in one go is answered as if the client had
//! waited for each answer.
//!
//! Every operation has a reply subject of its own.  Random operations are played to a server one after the other; then another
//! server gets all of them in one write, and must answer the same on each subject.

use std::collections::BTreeMap;

use quartet::random::Random;
use serde_json::Value;

use crate::support::broker::{BrokerClient, Delivered};
use crate::support::client::{Client, request};
use crate::support::http::Http;
use crate::support::process::{Folder, Server};

/// Scripts, and operations of each.
const SEEDS: u64 = 60;
const LENGTH: usize = 60;

/// Members of answers that depend on the time or on chance.
const VOLATILE: &[&str] = &["created", "ts", "time", "first_ts", "last_ts", "last_active", "epoch"];

/// A server with a folder for its streams, and one client.
struct Place {
    server: Server,
    client: BrokerClient,
    _folder: Folder,
}

impl Place {
    fn new() -> Place {
        let folder = Folder::new();
        let kept = folder.path().to_str().expect("the folder's name is text");
        let arguments = ["--broker-port", "0", "--http-port", "0", "--threads", "2", "--dir", kept];
        let server = Server::quartet(&arguments);
        let mut client = BrokerClient::quiet(server.broker_address());
        client.write("SUB _INBOX.> other\r\n");
        Place { server, client, _folder: folder }
    }
}

/// An operation, with what it takes to know that it is answered.
#[derive(Clone)]
struct Operation {
    subject: String,
    headers: String,
    body: String,
    /// Messages that it is answered with at most.  A status ends the answer before.
    most: usize,
}

impl Operation {
    fn api(subject: String, body: impl Into<String>) -> Operation {
        let subject = format!("$JS.API.{subject}");
        Operation { subject, headers: String::new(), body: body.into(), most: 1 }
    }

    fn message(subject: &str, headers: &str) -> Operation {
        let headers =
            if headers.is_empty() { String::new() } else { format!("NATS/1.0\r\n{headers}\r\n\r\n") };
        Operation { subject: subject.to_owned(), headers, body: "x".to_owned(), most: 1 }
    }

    fn bytes(&self, reply: &str) -> String {
        let Operation { subject, headers, body, .. } = self;
        let length = headers.len() + body.len();
        match headers.is_empty() {
            true => format!("PUB {subject} {reply} {length}\r\n{body}\r\n"),
            false => format!("HPUB {subject} {reply} {} {length}\r\n{headers}{body}\r\n", headers.len()),
        }
    }
}

const STREAMS: &[&str] = &["A", "B"];
const CONSUMERS: &[&str] = &["one", "two"];
const SUBJECTS: &[&str] = &["a.1", "a.2", "b.1", "c.1"];

fn one<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len())]
}

/// A definition of a stream, so that the streams compete for some subjects.
fn definition(random: &mut Random, name: &str) -> String {
    let subjects = one(random, &[r#"["a.*"]"#, r#"["b.*"]"#, r#"["a.*","c.>"]"#, r#"["b.1","c.*"]"#]);
    let more = one(
        random,
        &[
            "",
            r#","storage":"memory""#,
            r#","max_msgs_per_subject":2"#,
            r#","max_msgs":4"#,
            r#","allow_direct":true"#,
            r#","retention":"workqueue""#,
            r#","persist_mode":"async""#,
        ],
    );
    format!(r#"{{"name":"{name}","subjects":{subjects}{more}}}"#)
}

/// A random operation.  Acknowledgements are of messages that were delivered.
fn operation(random: &mut Random, delivered: &[(String, u64)]) -> Operation {
    let stream = one(random, STREAMS);
    let consumer = one(random, CONSUMERS);
    match random.below(24) {
        0 | 1 => Operation::api(format!("STREAM.CREATE.{stream}"), definition(random, stream)),
        2 => Operation::api(format!("STREAM.UPDATE.{stream}"), definition(random, stream)),
        3 => Operation::api(format!("STREAM.DELETE.{stream}"), ""),
        4 => Operation::api(format!("STREAM.INFO.{stream}"), r#"{"subjects_filter":">"}"#),
        5 => Operation::api("STREAM.NAMES".to_owned(), ""),
        6 => Operation::api("STREAM.LIST".to_owned(), ""),
        7 => {
            let body =
                one(random, &["", r#"{"seq":2}"#, r#"{"filter":"a.1"}"#, r#"{"filter":"a.*","keep":1}"#]);
            Operation::api(format!("STREAM.PURGE.{stream}"), body)
        }
        8 => Operation::api(
            format!("STREAM.MSG.DELETE.{stream}"),
            format!(r#"{{"seq":{}}}"#, 1 + random.below(6)),
        ),
        9 => {
            let body = one(
                random,
                &[r#"{"seq":1}"#, r#"{"last_by_subj":"a.1"}"#, r#"{"seq":1,"next_by_subj":"c.*"}"#],
            );
            Operation::api(format!("STREAM.MSG.GET.{stream}"), body)
        }
        10 => Operation::api(format!("DIRECT.GET.{stream}.a.1"), ""),
        11 | 12 => {
            let config = one(
                random,
                &[
                    r#""ack_policy":"explicit""#,
                    r#""ack_policy":"all""#,
                    r#""ack_policy":"explicit","filter_subject":"a.1""#,
                    r#""ack_policy":"explicit","deliver_policy":"last""#,
                ],
            );
            let config = format!(r#"{{"durable_name":"{consumer}",{config}}}"#);
            let body = format!(r#"{{"stream_name":"{stream}","config":{config}}}"#);
            Operation::api(format!("CONSUMER.CREATE.{stream}.{consumer}"), body)
        }
        13 => Operation::api(format!("CONSUMER.INFO.{stream}.{consumer}"), ""),
        14 => Operation::api(format!("CONSUMER.LIST.{stream}"), ""),
        15 => Operation::api(format!("CONSUMER.DELETE.{stream}.{consumer}"), ""),
        16..=18 => {
            let most = 1 + random.below(3);
            let body = format!(r#"{{"batch":{most},"no_wait":true}}"#);
            Operation { most, ..Operation::api(format!("CONSUMER.MSG.NEXT.{stream}.{consumer}"), body) }
        }
        19 if !delivered.is_empty() => {
            let (consumer, sequence) = &delivered[random.below(delivered.len())];
            let subject = format!("$JS.ACK.{consumer}.1.{sequence}.1.0.0");
            Operation { subject, headers: String::new(), body: String::new(), most: 1 }
        }
        20 => Operation::message(one(random, SUBJECTS), &format!("Nats-Msg-Id: {}", random.below(3))),
        21 => Operation::message(
            one(random, SUBJECTS),
            &format!("Nats-Expected-Last-Sequence: {}", random.below(4)),
        ),
        _ => Operation::message(one(random, SUBJECTS), ""),
    }
}

/// A message without what depends on the time.
fn described(message: &Delivered) -> String {
    let payload = match serde_json::from_slice::<Value>(&message.payload) {
        Ok(mut value) => {
            blank(&mut value);
            value.to_string()
        }
        Err(_) => String::from_utf8_lossy(&message.payload).into_owned(),
    };
    let is_stamp = |line: &&str| !line.starts_with("Nats-Time-Stamp:");
    let headers = String::from_utf8_lossy(&message.headers).into_owned();
    let headers: Vec<&str> = headers.split("\r\n").filter(is_stamp).collect();
    let subject = if message.subject.starts_with("_INBOX.") { "" } else { &*message.subject };
    let tokens: Vec<&str> =
        message.reply.split('.').enumerate().filter(|(at, _)| *at != 7).map(|(_, token)| token).collect();
    format!("{subject} {} {headers:?} {payload}", tokens.join("."))
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if VOLATILE.contains(&name.as_str()) { *value = Value::Null } else { blank(value) }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}

/// Whether a message says that no more come.
fn is_status(message: &Delivered) -> bool {
    message.headers.starts_with(b"NATS/1.0 ")
}

/// Answers by the number of their operation.
type Answers = BTreeMap<usize, Vec<String>>;

impl Place {
    /// Sends one operation after the other, each once the former is answered.
    fn play(&mut self, random: &mut Random) -> (Vec<Operation>, Answers) {
        let (mut operations, mut answers, mut delivered) = (Vec::new(), Answers::new(), Vec::new());
        for number in 0..LENGTH {
            let operation = match STREAMS.get(number) {
                Some(stream) => Operation::api(format!("STREAM.CREATE.{stream}"), definition(random, stream)),
                None => operation(random, &delivered),
            };
            if operation.subject.contains("CREATE") || operation.subject.contains("DELETE") {
                // What it has delivered does not concern another consumer of its name.
                delivered.clear();
            }
            self.client.write(written(number, &operation));
            let answer = answers.entry(number).or_default();
            while answer.len() < operation.most {
                let message = self.client.delivered();
                assert_eq!(message.id, number.to_string(), "{}: {message:?}", operation.subject);
                if let Some(rest) = message.reply.strip_prefix("$JS.ACK.") {
                    let tokens: Vec<&str> = rest.split('.').collect();
                    let sequence = tokens[3].parse().expect("a sequence");
                    delivered.push((format!("{}.{}", tokens[0], tokens[1]), sequence));
                }
                answer.push(described(&message));
                if is_status(&message) {
                    break;
                }
            }
            operations.push(operation);
        }
        self.client.flush();
        (operations, answers)
    }

    /// Sends all operations in one write.  Returns as many answers as are expected.
    fn play_at_once(&mut self, operations: &[Operation], count: usize) -> Answers {
        let all: String =
            (0..).zip(operations).map(|(number, operation)| written(number, operation)).collect();
        self.client.write(all);
        let mut answers: Answers = (0..operations.len()).map(|number| (number, Vec::new())).collect();
        for _ in 0..count {
            let message = self.client.delivered();
            let number = message.id.parse().expect("a number");
            answers.entry(number).or_default().push(described(&message));
        }
        self.client.flush();
        answers
    }

    fn remove_streams(&mut self) {
        for stream in STREAMS {
            let operation = Operation::api(format!("STREAM.DELETE.{stream}"), "");
            self.client.write(operation.bytes("_INBOX.removed"));
            self.client.delivered();
        }
    }
}

/// An operation with the subscription to its answers.
fn written(number: usize, operation: &Operation) -> String {
    format!("SUB _answers.{number} {number}\r\n{}", operation.bytes(&format!("_answers.{number}")))
}

#[test]
fn what_comes_in_one_write_is_answered_as_if_it_came_one_after_the_other() {
    let (mut slow, mut fast) = (Place::new(), Place::new());
    for seed in 0..SEEDS {
        let (operations, expected) = slow.play(&mut Random::with_seed(seed));
        let count = expected.values().map(Vec::len).sum();
        let found = fast.play_at_once(&operations, count);
        for (number, operation) in operations.iter().enumerate() {
            let Operation { subject, body, .. } = operation;
            assert_eq!(
                found[&number], expected[&number],
                "seed {seed}, operation {number}: {subject} {body}"
            );
        }
        for place in [&mut slow, &mut fast] {
            let ended: String = (0..LENGTH).map(|number| format!("UNSUB {number}\r\n")).collect();
            place.client.write(ended);
            place.remove_streams();
        }
    }
}

/// A server on whose streams commands or requests are played one after the other, and one that gets them in one write.
fn servers() -> (Place, Place) {
    (Place::new(), Place::new())
}

#[test]
fn commands_in_one_write_are_answered_as_if_they_came_one_after_the_other() {
    const COMMANDS: &[&str] = &[
        "STREAM.INFO S",
        "STREAM.CREATE S SUBJECTS 1 s.* MAXPERSUBJECT 2",
        "STREAM.PUBLISH s.1 one",
        "PUBLISH s.1 two",
        "STREAM.INFO S",
        "PUBLISH s.2 three",
        "STREAM.PUBLISH s.1 four EXPECT LAST 3",
        "STREAM.READ S FROM 1",
        "STREAM.PURGE S SUBJECT s.2",
        "STREAM.PUBLISH s.2 five ID a",
        "STREAM.PUBLISH s.2 five ID a",
        "STREAM.CREATE T SUBJECTS 1 s.1",
        "STREAM.INFO S",
        "STREAM.DELETE S",
        "STREAM.PUBLISH s.1 six",
        "STREAM.CREATE T SUBJECTS 1 s.1 STORAGE MEMORY",
        "STREAM.PUBLISH s.1 seven",
        "PUBLISH s.1 eight",
        "STREAM.READ T FROM 2",
        "STREAM.LIST",
    ];
    let (slow, fast) = servers();
    let mut client = Client::connect(slow.server.address());
    let expected: Vec<String> = COMMANDS.iter().map(|line| without_times(&client.ask(line))).collect();
    let mut client = Client::connect(fast.server.address());
    let words = |line: &str| request(&line.split_whitespace().collect::<Vec<_>>());
    client.write(&COMMANDS.iter().flat_map(|line| words(line)).collect::<Vec<u8>>());
    for (line, expected) in COMMANDS.iter().zip(expected) {
        let found = client.read_text().expect("the connection lasts");
        assert_eq!(without_times(&found), expected, "{line}");
    }
}

#[test]
fn requests_over_http_in_one_write_are_answered_as_if_they_came_one_after_the_other() {
    const REQUESTS: &[(&str, &str, &str)] = &[
        ("PUT", "/streams/S", r#"{"subjects":["s.*"]}"#),
        ("POST", "/publish/s.1", "one"),
        ("GET", "/streams/S", ""),
        ("PUT", "/streams/S", r#"{"subjects":["t.*"]}"#),
        ("POST", "/publish/t.1", "two"),
        ("PUT", "/streams/S/consumers/C", "{}"),
        ("POST", "/streams/S/purge", r#"{"keep":1}"#),
        ("GET", "/streams/S/messages?from=1", ""),
        ("DELETE", "/streams/S", ""),
        ("GET", "/streams/S", ""),
    ];
    let (slow, fast) = servers();
    let head = |method: &str, path: &str, body: &str| {
        let length = body.len();
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let mut client = Http::connect(slow.server.http_address());
    let answers = |client: &mut Http, method: &str| {
        let response = client.read(method).expect("the connection lasts");
        let mut body = serde_json::from_slice(&response.body).unwrap_or_default();
        blank(&mut body);
        (response.status, body)
    };
    let one_by_one = REQUESTS.iter().map(|(method, path, body)| {
        client.write(head(method, path, body).as_bytes());
        answers(&mut client, method)
    });
    let expected: Vec<(u16, Value)> = one_by_one.collect();
    assert!(expected[..9].iter().all(|(status, _)| (200..300).contains(status)), "{expected:?}");
    let mut client = Http::connect(fast.server.http_address());
    let all: String = REQUESTS.iter().map(|(method, path, body)| head(method, path, body)).collect();
    client.write(all.as_bytes());
    for ((method, path, _), expected) in REQUESTS.iter().zip(expected) {
        assert_eq!(answers(&mut client, method), expected, "{method} {path}");
    }
}

/// A reply without its times.
fn without_times(reply: &str) -> String {
    let is_time = |word: &&str| !(word.contains('T') && word.contains(':') && word.contains('-'));
    reply.split_whitespace().filter(is_time).collect::<Vec<_>>().join(" ")
}
