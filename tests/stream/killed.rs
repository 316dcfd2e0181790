//! A server that is killed under load, at any moment, and started again on the same folder: the list of streams is the one that
//! was told, and all that was told to be stored is there.
//!
//! Every start begins a snapshot, so that messages move from the journal to the files of their streams while the next clients
//! are at work, and the kill falls into that as well.

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use quartet::random::Random;
use serde_json::{Value, json};

use super::power_cuts::answers::Answer;
use super::power_cuts::changes::random_change;
use super::power_cuts::checks::{INFO_BODY, seen_in};
use super::power_cuts::model::{Definition, Publication};
use super::power_cuts::worlds::Worlds;
use crate::support::broker::{BrokerClient, Delivered};
use crate::support::process::{Folder, Server, wait_for};

/// Servers that are killed.
const KILLS: u64 = 5;
const LONG_KILLS: u64 = 300;

/// The streams, each with a client of its own.
const NAMES: [&str; 4] = ["S", "T", "U", "V"];

/// Answers before a kill, at most.
const ANSWERS_MAX: usize = 600;

/// Messages that a client has on their way at a time, at most.
const BURST: usize = 20;

/// A stream and its client.
struct Owner {
    name: &'static str,
    worlds: Worlds,
    random: Random,
    operations: usize,
}

impl Owner {
    /// Works until the server is gone.
    fn work(&mut self, client: &mut BrokerClient, heard: &AtomicU64) -> Result<(), String> {
        loop {
            let is_over = match self.random.below(4) {
                0 => self.change(client)?,
                _ => self.publish(client)?,
            };
            match is_over {
                Some(answers) => drop(heard.fetch_add(answers, Relaxed)),
                None => return Ok(()),
            }
        }
    }

    /// Publishes some messages and waits for the answers; none if the server is gone.
    fn publish(&mut self, client: &mut BrokerClient) -> Result<Option<u64>, String> {
        let Some(state) = self.worlds.guess() else { return self.change(client) };
        let first = self.operations + 1;
        let count = 1 + self.random.below(BURST);
        let mut frames = String::new();
        for _ in 0..count {
            self.operations += 1;
            let number = self.operations;
            let mut message = Publication::random(self.name, number, &mut self.random);
            if count == 1 {
                message.wish(&state, number, &mut self.random);
            }
            self.worlds.publish(number, &message);
            let headers = message.headers();
            let (name, subject, payload) = (self.name, &message.subject, &message.payload);
            let total = headers.len() + payload.len();
            frames += &match headers.len() {
                0 => format!("PUB {subject} _INBOX.{name}.{number} {total}\r\n{payload}\r\n"),
                length => {
                    format!(
                        "HPUB {subject} _INBOX.{name}.{number} {length} {total}\r\n{headers}{payload}\r\n"
                    )
                }
            };
        }
        client.write_anyway(&frames);
        for number in first..first + count {
            let Some(told) = client.delivered_or_end() else { return Ok(None) };
            let (operation, json) = operation_and_json(&told);
            if operation != number {
                return Err(format!("{}: {told:?} is no answer to {number}", self.name));
            }
            self.hear(number, &Answer::to_publication(&json), &json)?;
        }
        Ok(Some(count as u64))
    }

    /// Changes the stream and waits for the answer; none if the server is gone.
    fn change(&mut self, client: &mut BrokerClient) -> Result<Option<u64>, String> {
        self.operations += 1;
        let number = self.operations;
        let (change, request, body) =
            random_change(self.name, self.worlds.guess().as_ref(), &mut self.random);
        self.worlds.ask(number, &change);
        let length = body.len();
        let name = self.name;
        client.write_anyway(format!("PUB $JS.API.{request} _INBOX.{name}.{number} {length}\r\n{body}\r\n"));
        let Some(told) = client.delivered_or_end() else { return Ok(None) };
        let (_, json) = operation_and_json(&told);
        self.hear(number, &Answer::to_change(&json), &json)?;
        Ok(Some(1))
    }

    fn hear(&mut self, operation: usize, answer: &Answer, json: &Value) -> Result<(), String> {
        let before = self.worlds.describe();
        match answer {
            Answer::Known(outcome) if self.worlds.answer(operation, outcome) => Ok(()),
            _ => Err(format!("{operation} on {} cannot come to {json}:\n{before}", self.name)),
        }
    }

    /// The server has started: the stream is what it may be, and its messages are what they were.
    fn check(&mut self, client: &mut BrokerClient) -> Result<(), String> {
        let name = self.name;
        let info = ask(client, &format!("STREAM.INFO.{name}"), INFO_BODY);
        let seen = seen_in(&info).map_err(|()| format!("{name} counts wrongly: {info}"))?;
        let consumers = match seen {
            Some(_) => names(&ask(client, &format!("CONSUMER.NAMES.{name}"), "")["consumers"]),
            None => BTreeSet::new(),
        };
        let (definition, before) = (Definition::read(&info["config"]), self.worlds.describe());
        let has_come_back = self
            .worlds
            .start_again(&seen, |state| state.consumers == consumers && state.definition == definition);
        if !has_come_back {
            return Err(format!("{name} cannot be {seen:?} with {consumers:?}, {definition:?}:\n{before}"));
        }
        for sequence in seen.into_iter().flat_map(|(_, present)| present) {
            let body = json!({ "seq": sequence }).to_string();
            let message = direct(client, &format!("DIRECT.GET.{name}"), &body);
            let headers = String::from_utf8_lossy(&message.headers).into_owned();
            let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
            let subject = lines.find(|(header, _)| *header == "Nats-Subject").map_or("", |(_, value)| value);
            let payload = String::from_utf8_lossy(&message.payload);
            if !self.worlds.see_message(sequence, subject, &payload) {
                return Err(format!("{sequence} of {name} cannot be {headers} {payload}:\n{before}"));
            }
        }
        Ok(())
    }
}

/// Which operation is answered, and how.
fn operation_and_json(told: &Delivered) -> (usize, Value) {
    let number = told.subject.rsplit('.').next().and_then(|number| number.parse().ok());
    (number.unwrap_or_default(), serde_json::from_slice(&told.payload).unwrap_or_default())
}

/// What a request is answered with.
fn direct(client: &mut BrokerClient, request: &str, body: &str) -> Delivered {
    let length = body.len();
    client.write(format!("PUB $JS.API.{request} _INBOX.test.0 {length}\r\n{body}\r\n"));
    client.delivered()
}

fn ask(client: &mut BrokerClient, request: &str, body: &str) -> Value {
    serde_json::from_slice(&direct(client, request, body).payload).expect("it is JSON")
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn client_of(server: &Server, name: &str) -> BrokerClient {
    let mut client = BrokerClient::quiet(server.broker_address());
    client.write(format!("SUB _INBOX.{name}.> 1\r\n"));
    client
}

#[test]
fn what_was_told_outlives_a_server_that_is_killed() {
    let kills = if env::var_os("QUARTET_LONG").is_some() { LONG_KILLS } else { KILLS };
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let owner = |name| Owner { name, worlds: Worlds::new(), random: Random::with_seed(0), operations: 0 };
    let mut owners = NAMES.map(owner);
    for kill in 0..=kills {
        let mut random = Random::with_seed(kill);
        let server = Server::quartet(&["--dir", &data, "--broker-port", "0"]);
        let mut client = client_of(&server, "test");
        for owner in &mut owners {
            owner.check(&mut client).unwrap_or_else(|fault| panic!("behind kill {kill}: {fault}"));
        }
        let list = names(&ask(&mut client, "STREAM.NAMES", "")["streams"]);
        let known: BTreeSet<String> = owners
            .iter()
            .filter(|owner| owner.worlds.guess().is_some())
            .map(|owner| owner.name.to_owned())
            .collect();
        assert_eq!(list, known, "behind kill {kill}");
        let (heard, answers) = (AtomicU64::new(0), random.below(ANSWERS_MAX) as u64);
        thread::scope(|scope| {
            let working: Vec<_> = owners
                .iter_mut()
                .map(|owner| {
                    owner.random = Random::with_seed(random.draw());
                    let mut client = client_of(&server, owner.name);
                    let heard = &heard;
                    scope.spawn(move || owner.work(&mut client, heard))
                })
                .collect();
            wait_for(|| {
                let is_time =
                    heard.load(Relaxed) >= answers || working.iter().any(|owner| owner.is_finished());
                is_time.then_some(())
            });
            // Dropped, it is killed.
            drop(server);
            for owner in working {
                let worked = owner.join().expect("it does not panic");
                worked.unwrap_or_else(|fault| panic!("before kill {}: {fault}", kill + 1));
            }
        });
    }
}
