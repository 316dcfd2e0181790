//! A slow disk: replies are true when they are sent, and grants are withdrawn if their clients have left.

use crate::support::client::Client;
use crate::support::http::{Http, Response};
use crate::support::slow_server::SlowServer;

const TOO_LATE: &str =
    "-TOOLATE the time was over before the disk had it: ask for a longer one, or see why the disk is slow";
const WITHDRAWN: &str =
    "-WITHDRAWN the connection was closed before the disk had what was granted, so it was taken back";

/// Sends a command and does not wait for its reply.
fn send(client: &mut Client, line: &str) {
    client.write(format!("{line}\r\n").as_bytes());
}

fn reply(client: &mut Client) -> String {
    client.read_text().expect("the connection is open")
}

/// Sends a request and does not wait for its response.
fn send_http(http: &mut Http, method: &str, path: &str, body: &str) {
    let length = body.len();
    http.write(
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
            .as_bytes(),
    );
}

fn response(http: &mut Http) -> Response {
    http.read("POST").expect("the connection is open")
}

/// The number behind a name in a reply that is a flat list.
fn field(reply: &str, name: &str) -> String {
    let at = reply.split(&format!("{name}, ")).nth(1).unwrap_or_else(|| panic!("no {name} in {reply}"));
    at.split([',', ']']).next().unwrap_or_default().to_owned()
}

/// Sends commands, lets time pass once they have run, then lets the disk sync.
fn delayed(server: &mut SlowServer, client: &mut Client, lines: &[&str], millis: u64) -> Vec<String> {
    server.run(client, lines);
    server.pass(millis);
    server.sync();
    let replies = lines.iter().map(|_| reply(client)).collect();
    assert_eq!(reply(client), "PONG");
    replies
}

/// An operation that always writes a record, so that the replies after it wait for the disk.
fn marker(number: usize) -> String {
    format!("LOCK.ACQUIRE marker-{number} M TTL 600000")
}

#[test]
fn a_reply_tells_the_time_that_is_left() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    for (number, (command, name, left)) in [
        ("LOCK.ACQUIRE x A TTL 1000", "ttl_ms", "900"),
        ("LOCK.RENEW x A TTL 5000", "ttl_ms", "4900"),
        ("LOCK.INFO x", "ttl_ms", "4800"),
        ("LOCK.LIST MATCH x", "ttl_ms", "4700"),
        ("LOCK.MACQUIRE B 2 y z TTL 3000", "ttl_ms", "2900"),
        ("LOCK.ACQUIRE s C TTL 3000 PERMITS 1 OF 2", "ttl_ms", "2900"),
        ("LOCK.ACQUIRE s C TTL 9000 PERMITS 1 OF 2 REENTRANT", "ttl_ms", "8900"),
        ("LOCK.DOWNGRADE y B", "ttl_ms", "2600"),
        ("LOCK.UPGRADE y B", "ttl_ms", "2500"),
        ("LOCK.ACQUIRE r D TTL 3000 REQID one", "ttl_ms", "2900"),
        ("LOCK.ACQUIRE r D TTL 3000 REQID one", "ttl_ms", "2900"),
    ]
    .into_iter()
    .enumerate()
    {
        let replies = delayed(&mut server, &mut client, &[&marker(number), command], 100);
        assert_eq!(field(&replies[1], name), left, "{command}: {}", replies[1]);
    }
    let opening = ["LOCK.SESSION OPEN TTL 4000", "LOCK.SESSION OPEN TTL 50"];
    let opened = delayed(&mut server, &mut client, &opening, 100);
    assert_eq!(opened[1], TOO_LATE);
    let ping = format!("LOCK.SESSION PING {}", opened[0]);
    let info = format!("LOCK.SESSION INFO {}", opened[0]);
    assert_eq!(delayed(&mut server, &mut client, &[&marker(100), &ping], 100)[1], "3900");
    let replies = delayed(&mut server, &mut client, &[&marker(101), &info], 100);
    assert_eq!(field(&replies[1], "left_ms"), "3800");
}

#[test]
fn a_grant_that_expired_before_its_reply_is_refused() {
    let mut server = SlowServer::start();
    let (mut first, mut second) = (server.client(), server.client());
    server.run(&mut first, &["LOCK.ACQUIRE x A TTL 100 REQID one", "LOCK.MACQUIRE A 2 y z TTL 150"]);
    server.pass(200);
    server.run(&mut second, &["LOCK.ACQUIRE x B TTL 60000"]);
    server.sync();
    for _ in 0..2 {
        assert_eq!(reply(&mut first), TOO_LATE);
    }
    assert_eq!(field(&reply(&mut second), "ttl_ms"), "60000");
    // Less than a millisecond counts as nothing, and then the lease goes to the next waiter at once.
    assert_eq!(reply(&mut first), "PONG");
    server.run(&mut first, &["LOCK.ACQUIRE w A TTL 100"]);
    server.pass(100);
    server.sync();
    assert_eq!(reply(&mut first), TOO_LATE);
    server.until(|totals| totals.leases == 1);
    assert_eq!(reply(&mut first), "PONG");
    // The same request may be made again.
    let again = delayed(&mut server, &mut first, &["LOCK.ACQUIRE v A TTL 100 REQID two"], 300);
    assert_eq!(again, [TOO_LATE]);
    let again = delayed(&mut server, &mut first, &["LOCK.ACQUIRE v A TTL 100 REQID two"], 30);
    assert_eq!(field(&again[0], "ttl_ms"), "70");
}

#[test]
fn late_renewals_are_refused() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    delayed(&mut server, &mut client, &["LOCK.ACQUIRE x A TTL 1000", "LOCK.ACQUIRE y A TTL 5000"], 0);
    let lines = [&*marker(1), "LOCK.RENEW x A TTL 1500", "LOCK.RENEWALL A TTL 1600"];
    let replies = delayed(&mut server, &mut client, &lines, 2000);
    assert_eq!(replies[1..], [TOO_LATE, "1"]);
    let lines = [&*marker(2), "LOCK.RENEWALL A TTL 1000", "LOCK.INFO y"];
    let replies = delayed(&mut server, &mut client, &lines, 6000);
    assert_eq!(replies[1], TOO_LATE);
    assert_eq!(field(&replies[2], "ttl_ms"), "0");
}

#[test]
fn replies_within_a_transaction_and_around_it_keep_their_places() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    let lines = [
        "SET before 1",
        "MULTI",
        "GET before",
        "LOCK.ACQUIRE x A TTL 1000",
        "LOCK.ACQUIRE y A TTL 10",
        "LOCK.RELEASE x A",
        "LOCK.ACQUIRE z A TTL 700",
        "GET before",
        "EXEC",
        "GET before",
    ];
    let replies = delayed(&mut server, &mut client, &lines, 300);
    let exec = &replies[8];
    assert!(exec.starts_with("[1, [fence, "), "{exec}");
    // Nobody holds the lock that was released meanwhile.
    assert!(exec.contains(&format!("{TOO_LATE}, 0, [fence, ")), "{exec}");
    assert!(exec.contains("ttl_ms, 400,") && exec.ends_with("], 1]"), "{exec}");
    assert_eq!(replies[9], "1");
    client.hello();
    let replies = delayed(&mut server, &mut client, &["LOCK.ACQUIRE v A TTL 1000"], 1);
    assert!(replies[0].contains("ttl_ms: 999"), "{}", replies[0]);
}

#[test]
fn a_waiter_whose_grant_expired_before_its_reply_is_refused() {
    let mut server = SlowServer::start();
    let (mut holder, mut waiter) = (server.client(), server.client());
    delayed(&mut server, &mut holder, &["LOCK.ACQUIRE x A TTL 60000"], 0);
    send(&mut waiter, "LOCK.ACQUIRE x B TTL 100 WAIT 50000");
    server.until(|totals| totals.waiters == 1);
    server.run(&mut holder, &["LOCK.RELEASE x A"]);
    server.until(|totals| totals.waiters == 0);
    server.pass(100);
    server.sync();
    assert_eq!(reply(&mut waiter), TOO_LATE);
    server.until(|totals| totals.leases == 0);
    send(&mut waiter, "LOCK.ACQUIRE x B TTL 100 WAIT 50000");
    server.until(|totals| totals.leases == 1);
    server.pass(30);
    server.sync();
    assert_eq!(field(&reply(&mut waiter), "ttl_ms"), "70");
}

#[test]
fn a_new_waiter_does_not_delay_earlier_replies() {
    let mut server = SlowServer::start();
    let (mut holder, mut waiter) = (server.client(), server.client());
    server.run(&mut holder, &["LOCK.ACQUIRE x A TTL 60000"]);
    // Its own records are not on the disk, and the reply before it does not need them.
    send(&mut waiter, "PING\r\nLOCK.ACQUIRE x B TTL 60000 WAIT 50000\r\nECHO after");
    server.until(|totals| totals.waiters == 1);
    assert_eq!(reply(&mut waiter), "PONG");
    server.sync();
    for expected in ["[fence, ", "PONG"] {
        assert!(reply(&mut holder).starts_with(expected));
    }
    delayed(&mut server, &mut holder, &["LOCK.RELEASE x A"], 20);
    assert_eq!(field(&reply(&mut waiter), "ttl_ms"), "59980");
    assert_eq!(reply(&mut waiter), "after");
}

#[test]
fn a_client_that_leaves_before_its_reply_holds_nothing() {
    let mut server = SlowServer::start();
    // At once, in a pipeline, within EXEC, a session.
    for lines in [
        &["LOCK.ACQUIRE x A TTL 60000"][..],
        &["PING", "LOCK.ACQUIRE x A TTL 60000 REQID r", "LOCK.MACQUIRE B 2 y z TTL 60000", "GET x"],
        &["MULTI", "LOCK.ACQUIRE x A TTL 60000", "LOCK.ACQUIRE s A TTL 60000 PERMITS 1 OF 3", "EXEC"],
        &["LOCK.SESSION OPEN TTL 60000", "LOCK.SESSION OPEN TTL 60000 DELAY 50000 CONN"],
        &["LOCK.ACQUIRE x A TTL 60000", "LOCK.ACQUIRE x A TTL 60000 REENTRANT"],
        &["LOCK.ACQUIRE x A TTL 60000 SHARED", "LOCK.UPGRADE x A"],
    ] {
        let mut client = server.client();
        server.run(&mut client, lines);
        drop(client);
        server.until(|totals| totals.leases == 0 && totals.sessions == 0);
        server.sync();
        server.until_alone();
    }
    // Waiting.
    let (mut holder, mut waiter) = (server.client(), server.client());
    delayed(&mut server, &mut holder, &["LOCK.ACQUIRE x A TTL 60000"], 0);
    send(&mut waiter, "LOCK.ACQUIRE x B TTL 60000 WAIT 50000");
    server.until(|totals| totals.waiters == 1);
    server.run(&mut holder, &["LOCK.RELEASE x A"]);
    server.until(|totals| totals.waiters == 0);
    drop(waiter);
    server.until(|totals| totals.leases == 0);
}

#[test]
fn a_client_that_leaves_keeps_what_it_was_told_of() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    delayed(&mut server, &mut client, &["LOCK.ACQUIRE x A TTL 60000 SHARED"], 0);
    // Nobody is told of later grants.
    server.run(&mut client, &["LOCK.UPGRADE x A", "LOCK.ACQUIRE y A TTL 60000"]);
    drop(client);
    server.until(|totals| totals.leases == 1);
    server.sync();
    let mut other = server.client();
    let info = delayed(&mut server, &mut other, &["LOCK.INFO x"], 0);
    assert_eq!(field(&info[0], "mode"), "shared");
    // It was asked for twice, and the second reply was lost.
    delayed(&mut server, &mut other, &["LOCK.ACQUIRE z A TTL 60000 REENTRANT"], 0);
    server.run(&mut other, &["LOCK.ACQUIRE z A TTL 60000 REENTRANT"]);
    drop(other);
    server.until_withdrawn(3);
    server.until_alone();
    let mut third = server.client();
    assert_eq!(delayed(&mut server, &mut third, &["LOCK.RELEASE z A"], 0), ["0"]);
}

#[test]
fn a_retry_keeps_the_grant_of_its_first_try() {
    let mut server = SlowServer::start();
    let command = "LOCK.ACQUIRE x A TTL 60000 REQID one";
    let (mut first, mut second) = (server.client(), server.client());
    server.run(&mut first, &[command]);
    server.run(&mut second, &[command]);
    drop(first);
    server.sync();
    assert_eq!(field(&reply(&mut second), "holds"), "1");
    assert_eq!(reply(&mut second), "PONG");
    assert_eq!(delayed(&mut server, &mut second, &["LOCK.RELEASE x A"], 0), ["0"]);
    // All of them have left: the next request is granted anew, under another fence.
    let command = "LOCK.ACQUIRE x A TTL 60000 REQID two";
    let tries: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = server.client();
            server.run(&mut client, &[command]);
            client
        })
        .collect();
    drop(tries);
    server.until(|totals| totals.leases == 0);
    let again = delayed(&mut server, &mut second, &[command], 0);
    assert_eq!(field(&again[0], "holds"), "1");
    // The first reply was sent: a retry whose reply is lost changes nothing.
    let mut third = server.client();
    server.run(&mut third, &[&marker(1), command]);
    drop(third);
    server.until(|totals| totals.resources == 1);
    assert_eq!(delayed(&mut server, &mut second, &["LOCK.RELEASE x A"], 0), ["0"]);
}

#[test]
fn a_retry_keeps_an_upgrade_and_a_session_too() {
    let mut server = SlowServer::start();
    let mut other = server.client();
    delayed(&mut server, &mut other, &["LOCK.ACQUIRE x A TTL 60000 SHARED"], 0);
    for (command, is_kept) in [
        ("LOCK.UPGRADE x A REQID up", "LOCK.INFO x"),
        ("LOCK.SESSION OPEN TTL 60000 REQID open", "LOCK.SESSION OPEN TTL 60000 REQID open"),
    ] {
        let (mut first, mut second) = (server.client(), server.client());
        server.run(&mut first, &[command]);
        server.run(&mut second, &[command]);
        drop(first);
        server.sync();
        let told = reply(&mut second);
        let found = delayed(&mut server, &mut other, &[is_kept], 0);
        if command.contains("SESSION") {
            assert_eq!(found, [told]);
        } else {
            assert_eq!(field(&found[0], "mode"), "exclusive");
            assert_eq!(field(&found[0], "fence"), field(&told, "fence"));
        }
    }
    // A lease that was exclusive before stays so, and the next session is another one.
    let lines = ["LOCK.UPGRADE x A", "LOCK.SESSION OPEN TTL 60000 REQID next", &*marker(0)];
    for _ in 0..2 {
        let mut leaving = server.client();
        server.run(&mut leaving, &lines);
        drop(leaving);
        server.until(|totals| totals.leases == 1 && totals.sessions == 1);
        server.sync();
    }
    let info = delayed(&mut server, &mut other, &["LOCK.INFO x"], 0);
    assert_eq!(field(&info[0], "mode"), "exclusive");
}

#[test]
fn a_client_that_closes_its_sending_side_is_told_that_it_holds_nothing() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    server.run(&mut client, &["SET key 1", "LOCK.ACQUIRE x A TTL 60000", "LOCK.RENEWALL B TTL 1000"]);
    client.finish();
    server.until(|totals| totals.leases == 0);
    server.sync();
    for expected in ["OK", WITHDRAWN, "0", "PONG"] {
        assert_eq!(reply(&mut client), expected);
    }
    assert_eq!(client.read_text(), None);
}

#[test]
fn a_failing_disk_is_reported_in_the_replies_that_wait_for_it() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    delayed(&mut server, &mut client, &["LOCK.ACQUIRE x A TTL 60000"], 0);
    let before = server.disk.operations();
    server.disk.expect_trouble(crate::support::simulated_disk::Trouble::Error(before + 1));
    let lines = ["SET key 1", "LOCK.RELEASE x A", "LOCK.ACQUIRE y A TTL 60000", "GET key"];
    let replies = delayed(&mut server, &mut client, &lines, 0);
    assert_eq!((&*replies[0], &*replies[3]), ("OK", "1"));
    for reply in &replies[1..3] {
        assert!(reply.starts_with("-MISCONF the disk does not have what was done"), "{reply}");
    }
}

#[test]
fn without_replies_nothing_is_withdrawn() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    server.run(&mut client, &["CLIENT REPLY OFF", "LOCK.ACQUIRE x A TTL 60000", "CLIENT REPLY ON"]);
    server.sync();
    for expected in ["OK", "PONG"] {
        assert_eq!(reply(&mut client), expected);
    }
    drop(client);
    server.until_alone();
    server.until(|totals| totals.leases == 1);
}

#[test]
fn http_tells_the_time_that_is_left() {
    let mut server = SlowServer::start();
    let mut http = server.http();
    let mut ask = |server: &mut SlowServer, method: &str, path: &str, body: &str, millis: u64, leases| {
        send_http(&mut http, method, path, body);
        server.until(|totals| (totals.leases, totals.sessions) == leases);
        // The request has been done once the next one on the same thread has.
        let mut other = server.http();
        assert_eq!(other.get("/health/live").status, 200);
        server.pass(millis);
        server.sync();
        response(&mut http)
    };
    let grant = ask(&mut server, "POST", "/lock", r#"{"resource":"x","owner":"A","ttl":10}"#, 400, (1, 0));
    assert_eq!(grant.json()["expires_in_ms"], 9600, "{grant:?}");
    let lock = grant.json()["lock_id"].as_str().expect("it is text").to_owned();
    let late = ask(&mut server, "POST", "/lock", r#"{"resource":"y","ttl_ms":100}"#, 100, (2, 0));
    assert_eq!((late.status, late.problem()), (503, "unavailable".to_owned()));
    assert!(late.text().contains("the time was over before the disk had it"), "{late:?}");
    server.until(|totals| totals.leases == 1);
    let path = format!("/lock/{lock}/renew");
    let renewed = ask(&mut server, "PUT", &path, r#"{"ttl":60}"#, 500, (1, 0));
    assert_eq!(renewed.json()["expires_in_ms"], 59_500, "{renewed:?}");
    let opened = ask(&mut server, "POST", "/sessions", r#"{"ttl":5}"#, 300, (1, 1));
    assert_eq!(opened.json()["expires_in_ms"], 4700, "{opened:?}");
    let late = ask(&mut server, "POST", "/sessions", r#"{"ttl":1}"#, 1000, (1, 2));
    assert_eq!(late.problem(), "unavailable");
}

#[test]
fn an_http_client_that_leaves_before_its_response_holds_nothing() {
    let mut server = SlowServer::start();
    let mut client = server.client();
    for (path, body) in [
        ("/lock", r#"{"resource":"x","ttl":60}"#),
        ("/lock", r#"{"resources":["x","y"],"ttl":60}"#),
        ("/sessions", r#"{"ttl":60}"#),
    ] {
        let mut http = server.http();
        send_http(&mut http, "POST", path, body);
        server.until(|totals| totals.leases + totals.sessions > 0);
        drop(http);
        server.until(|totals| totals.leases + totals.sessions == 0);
    }
    server.sync();
    delayed(&mut server, &mut client, &["LOCK.ACQUIRE x A TTL 60000"], 0);
    let mut http = server.http();
    send_http(&mut http, "POST", "/lock", r#"{"resource":"x","ttl":60,"wait_ms":50000}"#);
    server.until(|totals| totals.waiters == 1);
    server.run(&mut client, &["LOCK.RELEASE x A"]);
    server.until(|totals| totals.waiters == 0);
    drop(http);
    server.until(|totals| totals.leases == 0);
}
