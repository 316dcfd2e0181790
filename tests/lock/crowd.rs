//! Ten thousand clients, each on its own connection, wait for one lock.

use crate::support::client::Client;
use crate::support::process::{Crowd, Server};

const CLIENTS: usize = 10_000;

/// The number of waiters in a reply of LOCK.INFO.
fn waiters(client: &mut Client) -> usize {
    let information = client.ask("LOCK.INFO hot");
    let (_, rest) = information.split_once("waiters").expect("it is held, so there is something to tell");
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().expect("it is a number")
}

#[test]
fn all_acquire_the_lock_in_the_order_of_their_requests() {
    let room = Crowd::of(CLIENTS);
    let count = room.count;
    let server = Server::quartet(&["--maxclients", "20000"]);
    let mut first = Client::connect(server.address());
    assert!(first.ask("LOCK.ACQUIRE hot first TTL 3600000").contains("fence"));
    let mut crowd: Vec<Client> = (0..count).map(|_| Client::connect(server.address())).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        client.write(format!("LOCK.ACQUIRE hot owner-{number} TTL 3600000 WAIT 3600000\r\n").as_bytes());
        while waiters(&mut first) <= number {}
    }
    // A client that leaves is taken out of the queue.
    let gone = crowd.pop().expect("there are many");
    drop(gone);
    while waiters(&mut first) == count {}
    assert_eq!(first.ask("LOCK.RELEASE hot first"), "0");
    for (number, client) in crowd.iter_mut().enumerate() {
        let granted = client.read_text().expect("it is its turn");
        assert!(granted.contains("fence"), "{granted}");
        assert_eq!(waiters(&mut first), count - 2 - number);
        assert_eq!(client.ask(&format!("LOCK.RELEASE hot owner-{number}")), "0");
    }
    assert_eq!(first.ask("LOCK.CHECK hot 1"), "0");
}
