//! The API of streams against nats-server: the same requests, one after the other, to it and to what this project makes of them.
//!
//! Compared are errors, whole, and definitions as they are sent back.  Where both differ, the script says why.

mod model;
mod publish;
mod scripts;
mod statuses;

use serde_json::Value;

use crate::support::broker::{BrokerClient, Delivered};
use crate::support::peers;
use crate::support::process::{Folder, Server};

/// A nats-server with streams in a folder of its own.
struct NatsStreams {
    // It ends when this is dropped, and then its folder goes.
    _server: Server,
    _folder: Folder,
    client: BrokerClient,
    requests: usize,
}

impl NatsStreams {
    fn start() -> Option<NatsStreams> {
        let program = peers::nats_server()?;
        let folder = Folder::new();
        let configuration = format!("jetstream {{ store_dir: {:?} }}", folder.path());
        let server = Server::nats(&program, 0, &configuration);
        let mut client = BrokerClient::quiet(server.broker_address());
        client.write("SUB _INBOX.streams.* 1\r\n");
        client.flush();
        Some(NatsStreams { _server: server, _folder: folder, client, requests: 0 })
    }

    /// What it answers.
    fn ask(&mut self, subject: &str, headers: &[u8], body: &[u8]) -> Delivered {
        self.requests += 1;
        let (reply, total) = (format!("_INBOX.streams.{}", self.requests), headers.len() + body.len());
        match headers.len() {
            0 => self.client.write(format!("PUB {subject} {reply} {total}\r\n")),
            length => self.client.write(format!("HPUB {subject} {reply} {length} {total}\r\n")),
        }
        self.client.write([headers, body, b"\r\n"].concat());
        loop {
            let delivered = self.client.delivered();
            if delivered.subject == reply {
                return delivered;
            }
        }
    }

    fn ask_json(&mut self, subject: &str, body: &str) -> Value {
        let delivered = self.ask(&format!("$JS.API.{subject}"), b"", body.as_bytes());
        serde_json::from_slice(&delivered.payload)
            .unwrap_or_else(|error| panic!("{subject}: {error}: {delivered:?}"))
    }
}

/// What of an answer is compared: its error, or its definition without what servers add.
fn essence(answer: &Value) -> Value {
    if let Some(error) = answer.get("error") {
        let mut error = error.clone();
        // What Go calls `int` has 64 bits.
        let text = error["description"].as_str().unwrap_or_default().replace("of type int64", "of type int");
        error["description"] = text.into();
        return error;
    }
    let mut config = answer.get("config").cloned().unwrap_or_default();
    if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !name.starts_with("_nats."));
        if metadata.is_empty() {
            config.as_object_mut().expect("it is an object").remove("metadata");
        }
    }
    config
}

#[test]
fn nats_server_answers_requests_as_we_do() {
    let Some(mut nats) = NatsStreams::start() else { return };
    let mut failures = Vec::new();
    for script in scripts::ALL {
        let mut ours = model::Streams::default();
        let mut reason = None;
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("differs: ") {
                reason = Some(text);
                continue;
            }
            let line = scripts::expanded(line);
            let (subject, body) = line.split_once(' ').unwrap_or((&line, ""));
            let theirs = essence(&nats.ask_json(subject, body)).to_string();
            let ours = essence(&ours.ask(subject, body)).to_string();
            let reason = reason.take();
            if (theirs == ours) == reason.is_some() {
                failures
                    .push(format!("{line:.300}\n  nats {theirs:.600}\n  ours {ours:.600}\n  ({reason:?})"));
            }
        }
        for stream in nats.ask_json("STREAM.NAMES", "")["streams"].as_array().into_iter().flatten() {
            let name = stream.as_str().expect("names are texts");
            nats.ask(&format!("$JS.API.STREAM.DELETE.{name}"), b"", b"");
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
