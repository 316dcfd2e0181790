//! Tens of thousands of subscriptions on one connection.

use std::thread;

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::wait_for;

const COUNT: usize = 50_000;

/// The pattern of a subscription and a subject that it alone matches.  Every other one has a wildcard.
fn topic(number: usize) -> (String, String) {
    let subject = format!("many.{number}.end");
    let pattern = if number.is_multiple_of(2) { subject.clone() } else { format!("many.{number}.*") };
    (pattern, subject)
}

/// Sends an operation for each number, in one go.
fn write_all(
    client: &mut BrokerClient,
    numbers: impl Iterator<Item = usize>,
    line: impl Fn(usize) -> String,
) {
    client.write(numbers.map(line).collect::<String>());
}

/// Publishes on the subjects of all subscriptions, each its number.
fn publish_on_all(publisher: &mut BrokerClient) {
    write_all(publisher, 0..COUNT, |number| {
        let (text, (_, subject)) = (number.to_string(), topic(number));
        format!("PUB {subject} {}\r\n{text}\r\n", text.len())
    });
    publisher.flush();
}

#[test]
fn each_of_them_gets_its_messages_and_all_end_with_the_connection() {
    let most = COUNT.to_string();
    let server = server(&["--broker-max-subscriptions", &most]);
    let mut resp = Client::connect(server.address());
    let mut client = BrokerClient::quiet(server.broker_address());
    write_all(&mut client, 0..COUNT, |number| format!("SUB {} {number}\r\n", topic(number).0));
    client.flush();
    assert_eq!(resp.figure("broker_subscriptions"), COUNT as u64);
    let refusal = "-ERR 'maximum subscriptions exceeded'\r\n";
    assert_eq!(client.answers_to("SUB more more\r\n"), refusal);

    let mut publisher = BrokerClient::quiet(server.broker_address());
    publish_on_all(&mut publisher);
    for number in 0..COUNT {
        let delivered = client.delivered();
        assert_eq!((delivered.id, delivered.payload), (number.to_string(), number.to_string().into_bytes()));
    }

    // A half ends, each quarter in its own way, and makes room for others.
    write_all(&mut client, (0..COUNT).filter(|number| number % 4 < 2), |number| {
        let last = if number.is_multiple_of(2) { "" } else { " 2" };
        format!("UNSUB {number}{last}\r\n")
    });
    client.flush();
    publish_on_all(&mut publisher);
    for number in (0..COUNT).filter(|number| number % 4 > 0) {
        assert_eq!(client.delivered().id, number.to_string());
    }
    client.flush();
    assert_eq!(resp.figure("broker_subscriptions"), COUNT as u64 / 2);
    publish_on_all(&mut publisher);
    for number in (0..COUNT).filter(|number| number % 4 >= 2) {
        assert_eq!(client.delivered().id, number.to_string());
    }
    write_all(&mut client, 0..COUNT / 2, |number| format!("SUB more n{number}\r\n"));
    assert_eq!(client.answers_to("SUB more more\r\n"), refusal);

    // The connection is cut, and others go on meanwhile.
    let mut subscriber = BrokerClient::quiet(server.broker_address());
    subscriber.write("SUB many.* 1\r\nSUB more 2\r\n");
    subscriber.flush();
    drop(client);
    thread::scope(|scope| {
        let ended = scope.spawn(|| wait_for(|| (resp.figure("broker_subscriptions") == 2).then_some(())));
        let mut number = 0;
        while number < 1_000 || !ended.is_finished() {
            let text = number.to_string();
            publisher.write(format!("PUB many.x {}\r\n{text}\r\nPUB more 0\r\n\r\n", text.len()));
            assert_eq!(subscriber.delivered().payload, text.as_bytes());
            assert_eq!(subscriber.delivered().id, "2");
            number += 1;
        }
    });
}

#[test]
fn all_of_one_subject_get_a_message_in_their_order() {
    let server = server(&[]);
    let mut resp = Client::connect(server.address());
    let mut client = BrokerClient::quiet(server.broker_address());
    let mut publisher = BrokerClient::quiet(server.broker_address());
    for round in 0..2 {
        write_all(&mut client, 0..COUNT, |number| {
            let pattern = if number < COUNT / 2 { "one" } else { "*" };
            format!("SUB {pattern} {number}\r\n")
        });
        client.flush();
        assert_eq!(resp.figure("broker_subscriptions"), COUNT as u64, "{round}");
        publisher.write("PUB one 2\r\nhi\r\n");
        publisher.flush();
        for number in 0..COUNT {
            let delivered = client.delivered();
            assert_eq!((delivered.id, delivered.payload.as_slice()), (number.to_string(), b"hi".as_slice()));
        }
        // Who says CONNECT again has no subscriptions.
        client.write("CONNECT {}\r\n");
        client.flush();
        assert_eq!(resp.figure("broker_subscriptions"), 0, "{round}");
    }
    write_all(&mut client, 0..COUNT, |number| format!("SUB one workers {number}\r\n"));
    client.flush();
    drop(client);
    wait_for(|| (resp.figure("broker_subscriptions") == 0).then_some(()));
    let answer = publisher.answers_to("PUB one reply 0\r\n\r\nSUB one 1\r\nPUB one 0\r\n\r\n");
    assert_eq!(answer, "MSG one 1 0\r\n\r\n");
}

#[test]
fn whoever_publishes_too_much_to_itself_is_cut_off_at_once() {
    let server = server(&["--broker-max-pending", "1mb"]);
    let mut resp = Client::connect(server.address());
    let mut other = BrokerClient::quiet(server.broker_address());
    other.write("SUB last 1\r\n");
    other.flush();
    let mut client = BrokerClient::quiet(server.broker_address());
    write_all(&mut client, 0..5_000, |number| format!("SUB a {number}\r\n"));
    client.flush();
    // One read brings all of it, and each message is 5,000.
    client.write("PUB a 0\r\n\r\n".repeat(5_000) + "PUB last 0\r\n\r\n");
    wait_for(|| (resp.figure("broker_connections") == 1).then_some(()));
    assert_eq!(resp.figure("broker_slow_consumers"), 1);
    assert!(resp.figure("broker_messages_in") < 5_000);
    other.flush();
}
