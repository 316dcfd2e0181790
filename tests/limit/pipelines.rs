//! Exactness over RESP: pipelines on very many connections at once get exactly what the limits hold.

use std::sync::Barrier;
use std::thread;

use redis_protocol::resp3::types::OwnedFrame;

use crate::support::client::{Client, request};
use crate::support::process::Server;

/// Connections at once, and requests in the pipeline of each: two thousand in all.
const CONNECTIONS: usize = 50;
const REQUESTS: usize = 40;

const BUDGET: i64 = 100;

/// Has every connection say at once what `words` makes for it, all its requests in one write, and counts the replies whose
/// first number is `wanted`.
fn count_of(server: &Server, wanted: i64, words: impl Fn(usize) -> String + Sync) -> usize {
    let (start, words) = (&Barrier::new(CONNECTIONS), &words);
    let ask_all = |connection: usize| {
        let mut client = Client::connect(server.address());
        let words = words(connection);
        let words: Vec<&str> = words.split(' ').collect();
        start.wait();
        client.write(&request(&words).repeat(REQUESTS));
        let first_number = |frame: &OwnedFrame| match frame {
            OwnedFrame::Array { data, .. } => match data.first() {
                Some(OwnedFrame::Number { data, .. }) => Some(*data),
                _ => None,
            },
            _ => None,
        };
        let replies = (0..REQUESTS).map(|_| client.read().expect("every request is answered"));
        replies.filter(|reply| first_number(reply).expect("an array of numbers") == wanted).count()
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTIONS).map(|connection| scope.spawn(move || ask_all(connection))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ran")).sum()
    })
}

fn server() -> Server {
    Server::quartet(&["--threads", "2", "--http-port", "off"])
}

#[test]
fn a_budget_of_a_hundred_admits_exactly_a_hundred_over_resp() {
    let server = server();
    let mut client = Client::connect(server.address());
    for algorithm in ["gcra", "sliding", "log", "fixed", "leaky", "concurrency", "refill"] {
        let policy = format!("RL.POLICY SET {algorithm} ALGO {algorithm} LIMIT {BUDGET} PERIOD 86400000");
        assert_eq!(client.ask(&policy), "OK");
        let admitted = count_of(&server, 1, |_| format!("RL.CHECK key POLICY {algorithm}"));
        assert_eq!(admitted, BUDGET as usize, "{algorithm}");
    }
    let admitted = count_of(&server, 0, |_| format!("CL.THROTTLE key {} 1 86400", BUDGET - 1));
    assert_eq!(admitted, BUDGET as usize, "CL.THROTTLE");
}

#[test]
fn limits_of_users_and_of_all_together_are_kept_exactly_over_resp() {
    let server = server();
    let mut client = Client::connect(server.address());
    let user = "RL.POLICY SET user ALGO fixed LIMIT 30 PERIOD 86400000";
    let global = format!("RL.POLICY SET global ALGO sliding LIMIT {BUDGET} PERIOD 86400000");
    assert_eq!((client.ask(user), client.ask(&global)), ("OK".to_owned(), "OK".to_owned()));
    let admitted = count_of(&server, 1, |connection| format!("RL.MCHECK 2 user {connection} 1 global all 1"));
    assert_eq!(admitted, BUDGET as usize);
    // What the users were refused because of all together was taken from none of them.
    let left = (0..CONNECTIONS).map(|connection| {
        let reply = client.call(&["RL.CHECK", &connection.to_string(), "POLICY", "user", "PEEK"]);
        match reply {
            OwnedFrame::Array { data, .. } => match data[2] {
                OwnedFrame::Number { data, .. } => data,
                _ => panic!("the third is what remains"),
            },
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(left.sum::<i64>(), 30 * CONNECTIONS as i64 - BUDGET);
}
