//! A client that guesses passwords is slowed down and reported, and no other client is locked out.

use std::net::{IpAddr, Ipv4Addr};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

/// More than any machine is slow enough to be asked in vain.
const GUESSES_MAX: usize = 10_000;

const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
const TOO_MANY: &str = "-ERR too many wrong passwords came from your address; try again in 1 s";

fn server() -> Server {
    Server::quartet(&["--http-port", "0", "--requirepass", "sesame"])
}

/// Guesses until the server does not look any more, and returns how often it did.
fn guess(server: &Server, line: &str) -> usize {
    let mut client = Client::connect(server.address());
    let replies = (0..GUESSES_MAX).map(|_| client.ask(line));
    let looked_at = replies.take_while(|reply| reply == WRONG).count();
    assert!(looked_at < GUESSES_MAX, "no client may guess for ever");
    looked_at
}

/// Failed authentications in INFO and /metrics.
fn failures(server: &Server) -> (u64, u64) {
    let mut operator = Client::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), server.address());
    assert_eq!(operator.ask("AUTH sesame"), "OK");
    let info = operator.ask("INFO stats");
    let field = info.lines().find_map(|line| line.strip_prefix("acl_access_denied_auth:"));
    let mut http = Http::connect(server.http_address());
    let page = wait_for(|| {
        let page = http.ask("GET", "/metrics", &[("Authorization", "Bearer sesame")], b"");
        (page.status == 200).then_some(page)
    });
    let samples =
        page.text().lines().filter(|line| line.starts_with("quartet_authentications_failed_total{"));
    let counts = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    (field.expect("it is there").trim().parse().expect("it is a number"), counts.sum())
}

#[test]
fn guesses_end_and_other_addresses_go_on() {
    let server = server();
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mut looked_at = 0;
    for line in ["AUTH wrong", "AUTH default wrong", "AUTH nobody sesame", "HELLO 3 AUTH default wrong"] {
        looked_at += guess(&server, line);
        assert_eq!(Client::connect_from(other, server.address()).ask("AUTH sesame"), "OK", "{line}");
    }
    assert!(looked_at >= 20, "a few mistakes are forgiven: {looked_at}");
    let (info, metrics) = failures(&server);
    assert!(info >= looked_at as u64 + 4 && metrics == info, "{info} {metrics}");
    wait_for(|| server.folder().stderr().lines().any(|line| line.contains("127.0.0.1")).then_some(()));
    // The right one is heard as soon as there is time for it.
    wait_for(|| (Client::connect(server.address()).ask("AUTH sesame") == "OK").then_some(()));
}

#[test]
fn a_right_password_is_checked_beside_wrong_ones() {
    let server = server();
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("AUTH sesame"), "OK");
    guess(&server, "AUTH wrong");
    let mut guesser = Client::connect(server.address());
    assert!([WRONG, TOO_MANY].contains(&guesser.ask("AUTH wrong").as_str()));
    assert_eq!(Client::connect(server.address()).ask("AUTH sesame"), "OK");
    assert_eq!(client.ask("PING"), "PONG");
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.ask("GET", "/cache/key", &[("Authorization", "Bearer sesame")], b"").status, 404);
}

#[test]
fn guesses_over_http_end_too() {
    let server = server();
    let wrong = [("Authorization", "Bearer wrong")];
    let mut http = Http::connect(server.http_address());
    let mut answers = (0..GUESSES_MAX).map(|_| http.ask("GET", "/cache/key", &wrong, b""));
    let refused = answers.find(|answer| answer.status != 401).expect("no client may guess for ever");
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many-attempts"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(http.get("/health/live").status, 200);
    assert_eq!(http.get("/cache/key").status, 401, "a request without a password is no guess");
}
