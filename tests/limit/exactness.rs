//! Exactness under concurrency: of very many requests at once exactly as many are admitted as the limits hold.

use std::thread;

use super::{check, connect, put_policy, server};

/// Connections at once, and requests on each: two thousand in all.
const CONNECTIONS: usize = 20;
const REQUESTS: usize = 100;

/// Sends all requests at once, each connection as a user of its own if `users`, and counts those admitted.
fn admitted(definition: &str, users: bool) -> usize {
    let server = server();
    put_policy(&mut connect(&server), "budget", definition);
    let server = &server;
    let ask_all = |connection: usize| {
        let mut http = connect(server);
        let user = if users { format!("user{connection}") } else { "user".to_owned() };
        (0..REQUESTS).filter(|_| check(&mut http, "?policy=budget", &user).status == 200).count()
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTIONS).map(|connection| scope.spawn(move || ask_all(connection))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ran")).sum()
    })
}

#[test]
fn a_budget_of_a_hundred_admits_exactly_a_hundred_with_every_algorithm() {
    for algorithm in ["gcra", "sliding", "log", "fixed", "leaky", "concurrency", "refill"] {
        let definition =
            format!(r#"{{"limits": [{{"algorithm": "{algorithm}", "limit": 100, "period_ms": 86400000}}]}}"#);
        assert_eq!(admitted(&definition, false), 100, "{algorithm}");
    }
}

#[test]
fn a_budget_for_all_users_together_is_kept_exactly_too() {
    let definition = r#"{"limits": [{"algorithm": "gcra", "limit": 30, "period_ms": 86400000},
        {"algorithm": "sliding", "limit": 100, "period_ms": 86400000, "scope": "global"}]}"#;
    assert_eq!(admitted(definition, true), 100);
}
