//! The rate limiter over RESP where a reply has to be used in the next request.

use redis_protocol::resp3::types::OwnedFrame;

use super::server;
use crate::support::client::{Client, text};

/// The values of a reply.
fn values(reply: &OwnedFrame) -> Vec<String> {
    match reply {
        OwnedFrame::Array { data, .. } => data.iter().map(text).collect(),
        other => panic!("{other:?} is no array"),
    }
}

/// How much of a policy's limit is left to a key.
fn remaining(client: &mut Client, policy: &str, key: &str) -> String {
    values(&client.call(&["RL.CHECK", key, "POLICY", policy, "PEEK"])).swap_remove(2)
}

#[test]
fn a_reservation_is_corrected() {
    let server = server();
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("RL.POLICY SET tokens ALGO fixed LIMIT 1000 PERIOD 86400000"), "OK");
    let reserve = |client: &mut Client| {
        let reserved = values(&client.call(&["RL.RESERVE", "1", "tokens", "alice", "400"]));
        assert_eq!(reserved[2], "1", "{reserved:?}");
        reserved[0].clone()
    };
    let (first, second) = (reserve(&mut client), reserve(&mut client));
    assert_eq!(remaining(&mut client, "tokens", "alice"), "200");
    assert_eq!(client.ask(&format!("RL.COMMIT {first} 150")), "1");
    assert_eq!(remaining(&mut client, "tokens", "alice"), "450");
    assert_eq!(client.ask(&format!("RL.COMMIT {first} 150")), "0", "it has ended");
    // Another connection, with another database selected, may end it.
    let mut other = Client::connect(server.address());
    assert_eq!(other.ask("SELECT 3"), "OK");
    assert_eq!(other.ask(&format!("RL.CANCEL {second}")), "1");
    assert_eq!(remaining(&mut client, "tokens", "alice"), "850");
    let third = reserve(&mut client);
    assert_eq!(
        client.ask(&format!("RL.COMMIT {third} 600")),
        "1",
        "more may have been used than was reserved"
    );
    assert_eq!(remaining(&mut client, "tokens", "alice"), "250");
}

#[test]
fn a_waiter_gets_the_slot_that_another_connection_leaves() {
    let server = server();
    let (mut one, mut other) = (Client::connect(server.address()), Client::connect(server.address()));
    assert_eq!(one.ask("RL.POLICY SET jobs ALGO concurrency LIMIT 1 PERIOD 86400000"), "OK");
    let slot = values(&one.call(&["RL.ENTER", "jobs", "alice"])).swap_remove(0);
    other.write(b"RL.CHECK alice POLICY jobs WAIT 3600000\r\n");
    // Whether it waits already or not, the slot is free for it afterwards.
    assert_eq!(one.ask(&format!("RL.LEAVE jobs alice {slot}")), "1");
    let admitted = values(&other.read().expect("it is answered"));
    assert_eq!(admitted[0], "1", "{admitted:?}");
}
