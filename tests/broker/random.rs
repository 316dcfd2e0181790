//! Random operations of several clients, and a naive broker that says who was to get what.
//!
//! nats-server plays them too, which shows that the naive broker is right.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use quartet::random::Random;

use super::model::{Delivery, Model, Operation, Wishes};
use crate::support::broker::BrokerClient;
use crate::support::peers;
use crate::support::process::Server;

/// Rounds, each with clients of its own.
const ROUNDS: u64 = 30;

/// Batches of operations in a round, and the most operations in one.
const BATCHES: usize = 60;
const OPERATIONS_MAX: usize = 12;

/// The clients of a round.
const WISHES: [Wishes; 4] = [
    Wishes { echo: true, no_responders: false },
    Wishes { echo: true, no_responders: true },
    Wishes { echo: false, no_responders: true },
    Wishes { echo: true, no_responders: false },
];

/// Few of everything, so that much meets.
const TOKENS: [&str; 3] = ["a", "b", "c"];
const PATTERN_TOKENS: [&str; 6] = ["a", "b", "c", "*", "*", ">"];
const GROUPS: [&str; 2] = ["workers", "others"];
const NAMES: usize = 12;
const TOKENS_MAX: usize = 3;
const MESSAGES_MAX: usize = 4;

#[test]
fn quartet_delivers_as_the_naive_broker_says() {
    let server = Server::quartet(&["--broker-port", "0", "--threads", "3"]);
    check(server.broker_address());
}

#[test]
fn nats_server_delivers_as_the_naive_broker_says() {
    let Some(program) = peers::nats_server() else { return };
    let server = Server::nats(&program, 0, "");
    check(server.address());
}

fn check(address: SocketAddr) {
    for seed in 0..ROUNDS {
        let mut random = Random::with_seed(seed);
        let mut clients: Vec<BrokerClient> = WISHES.iter().map(|wishes| connect(address, *wishes)).collect();
        let mut model = Model::new(&WISHES);
        let mut number = 0;
        for batch in 0..BATCHES {
            let sender = random.below(clients.len());
            let count = 1 + random.below(OPERATIONS_MAX);
            let operations: Vec<Operation> =
                (0..count).map(|_| operation(&mut random, &mut number)).collect();
            let observed = play(&mut clients, sender, &operations);
            for operation in &operations {
                let arrived = match operation {
                    Operation::Publish { number, .. } => observed.get(number),
                    _ => None,
                };
                let arrived = arrived.map(Vec::as_slice).unwrap_or_default();
                if let Err(error) = model.perform(sender, operation, arrived) {
                    panic!("round {seed}, batch {batch}: client {sender} did {operation:?}: {error}");
                }
            }
        }
        // The server may notice the end of a connection only after the next round has begun.
        for client in &mut clients {
            client.write((0..NAMES).map(|name| format!("UNSUB {name}\r\n")).collect::<String>());
            client.flush();
        }
    }
}

fn connect(address: SocketAddr, wishes: Wishes) -> BrokerClient {
    let (mut client, _) = BrokerClient::connect(address);
    let Wishes { echo, no_responders } = wishes;
    client.write(format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":{no_responders},\"no_responders\":{no_responders},\
         \"echo\":{echo}}}\r\n"
    ));
    client.flush();
    client
}

fn operation(random: &mut Random, number: &mut usize) -> Operation {
    let name = random.below(NAMES).to_string();
    match random.below(10) {
        0..3 => {
            let group = (random.below(3) == 0).then(|| GROUPS[random.below(GROUPS.len())].to_owned());
            Operation::Subscribe { pattern: pattern(random), group, name }
        }
        3 => Operation::Unsubscribe { name, after: None },
        4 => Operation::Unsubscribe { name, after: Some(1 + random.below(MESSAGES_MAX)) },
        _ => {
            *number += 1;
            let reply = (random.below(2) == 0).then(|| format!("{}.{number}", subject(random)));
            Operation::Publish { subject: subject(random), reply, number: *number }
        }
    }
}

fn subject(random: &mut Random) -> String {
    let tokens: Vec<&str> =
        (0..=random.below(TOKENS_MAX)).map(|_| TOKENS[random.below(TOKENS.len())]).collect();
    tokens.join(".")
}

/// A subject, or one with wildcards.
fn pattern(random: &mut Random) -> String {
    let mut tokens = Vec::new();
    for _ in 0..=random.below(TOKENS_MAX) {
        tokens.push(PATTERN_TOKENS[random.below(PATTERN_TOKENS.len())]);
        // Nothing stands behind it.
        if tokens.last() == Some(&">") {
            break;
        }
    }
    tokens.join(".")
}

/// Sends a client's operations in one write; what arrived anywhere, by the number in its payload.
///
/// Whoever is answered a PING has received before it what was published before it, so one from each client is enough.
fn play(
    clients: &mut [BrokerClient],
    sender: usize,
    operations: &[Operation],
) -> BTreeMap<usize, Vec<Delivery>> {
    let bytes: Vec<String> = operations.iter().map(written).collect();
    clients[sender].write(bytes.concat());
    let others = (0..clients.len()).filter(|&client| client != sender);
    let mut observed: BTreeMap<usize, Vec<Delivery>> = BTreeMap::new();
    for client in [sender].into_iter().chain(others) {
        let mut last = 0;
        for line in clients[client].frames_before_pong() {
            let (number, delivery) = read(client, &line);
            assert!(number >= last, "client {client} got {number} after {last}");
            last = last.max(number);
            observed.entry(number).or_default().push(delivery);
        }
    }
    observed
}

fn written(operation: &Operation) -> String {
    match operation {
        Operation::Subscribe { pattern, group, name } => {
            let group = group.as_deref().map(|group| format!("{group} ")).unwrap_or_default();
            format!("SUB {pattern} {group}{name}\r\n")
        }
        Operation::Unsubscribe { name, after } => {
            let after = after.map(|after| format!(" {after}")).unwrap_or_default();
            format!("UNSUB {name}{after}\r\n")
        }
        Operation::Publish { subject, reply, number } => {
            let reply = reply.as_deref().map(|reply| format!("{reply} ")).unwrap_or_default();
            format!("PUB {subject} {reply}{}\r\n{number}\r\n", number.to_string().len())
        }
    }
}

/// The delivery that a frame is, and the number of the message it belongs to.
fn read(client: usize, line: &str) -> (usize, Delivery) {
    let (control, payload) = line.split_once(" | ").unwrap_or_else(|| panic!("client {client} got {line}"));
    let words: Vec<&str> = control.split(' ').collect();
    let is_notice = words[0] == "HMSG";
    let has_reply = words.len() == 5 && !is_notice;
    // A notice has no payload, but its subject was the reply subject, which ends with the number.
    let number = if is_notice { words[1].rsplit('.').next().unwrap_or_default() } else { payload };
    let number = number.parse().expect("it is a number");
    let delivery = Delivery {
        client,
        name: words[2].to_owned(),
        subject: words[1].to_owned(),
        reply: has_reply.then(|| words[3].to_owned()),
        is_notice,
    };
    (number, delivery)
}
