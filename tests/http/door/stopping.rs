//! Stopping: load balancers are warned, requests under way are answered.

use rustix::process::{Signal, kill_process};

use super::{connect, server};
use crate::support::process::wait_for;

#[test]
fn readiness_says_that_the_server_is_about_to_stop() {
    let mut server = server(&["--shutdown-delay", "1"]);
    let mut http = connect(&server);
    assert_eq!(http.get("/health/ready").status, 200);
    kill_process(server.process(), Signal::TERM).expect("the server runs");
    let draining = wait_for(|| Some(http.get("/health/ready")).filter(|response| response.status == 503));
    assert_eq!(draining.json()["status"], "draining");
    assert_eq!((http.get("/health/live").status, connect(&server).get("/health/live").status), (200, 200));
    assert!(server.wait().success());
    assert_eq!(http.read_to_end(), b"");
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let mut server = server(&[]);
    let (mut http, mut idle) = (connect(&server), connect(&server));
    assert_eq!(idle.get("/health/live").status, 200);
    let head =
        "PUT /cache/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n";
    http.write(head.as_bytes());
    // The body is asked for once somebody waits for it.
    assert_eq!(http.read("PUT").expect("it is answered").status, 100);
    kill_process(server.process(), Signal::TERM).expect("the server runs");
    assert_eq!(idle.read_to_end(), b"");
    http.write(br#"{"value": "x"}"#);
    let response = http.read("PUT").expect("it is answered");
    assert!(response.status < 300);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(server.wait().success());
}

#[test]
fn a_request_that_waits_hears_of_the_end() {
    let mut server = server(&[]);
    let (mut holder, mut waiter) = (connect(&server), connect(&server));
    let lock = |wait: u64| format!(r#"{{"resource": "printer", "ttl": 600, "wait_ms": {wait}}}"#);
    assert_eq!(holder.ask("POST", "/lock", &[], lock(0).as_bytes()).status, 200);
    let body = lock(600_000);
    let head = format!("POST /lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    waiter.write(format!("{head}{body}").as_bytes());
    wait_for(|| {
        let refused = holder.ask("POST", "/lock", &[], lock(0).as_bytes()).json();
        (refused["queue_length"] == 1).then_some(())
    });
    kill_process(server.process(), Signal::TERM).expect("the server runs");
    let refused = waiter.read("POST").expect("it is answered");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert!(server.wait().success());
}
