//! What goes on beside a script that holds one key: the limiter's own work, and commands that write to keys others wait for.

use serde_json::json;

use super::{BUSY, ENDLESS, assert_killed, run_for_long, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::wait_for;

fn remaining(http: &mut Http, policy: &str) -> Option<i64> {
    let headers = [("Content-Type", "application/json")];
    let body = json!({"checks": [{"policy": policy, "key": "bot", "cost": 0}], "peek": true});
    let looked = http.ask("POST", "/check", &headers, body.to_string().as_bytes());
    looked.json()["remaining"].as_i64()
}

#[test]
fn reservations_end_in_time_except_those_whose_counter_is_held() {
    for threads in ["1", "4"] {
        let server = server(&["--http-port", "0", "--threads", threads]);
        let (mut other, mut http) = (Client::connect(server.address()), Http::connect(server.http_address()));
        for policy in ["one", "two"] {
            let definition = r#"{"limits": [{"algorithm": "log", "limit": 10, "period_ms": 86400000}], "on_expiry": "refund"}"#;
            let put = http.ask("PUT", &format!("/policies/{policy}"), &[], definition.as_bytes());
            assert!(put.status < 300, "{put:?}");
        }
        let mut reserve = |policy: &str, ttl: u64| {
            let body = json!({"checks": [{"policy": policy, "key": "bot", "cost": 6}], "ttl_ms": ttl});
            let reserved = http.ask("POST", "/reservations", &[], body.to_string().as_bytes());
            assert_eq!(reserved.status, 201, "{reserved:?}");
        };
        // The one whose counter is held falls due first.
        reserve("one", 400);
        reserve("two", 500);
        let held = other.ask("KEYS rl:one*").trim_matches(['[', ']']).to_owned();
        let mut runner = run_for_long(&server, ENDLESS, &[&held], &mut other, &held);
        wait_for(|| (remaining(&mut http, "two") == Some(10)).then_some(()));
        assert_eq!(other.ask(&format!("TTL {held}")), BUSY);
        assert_eq!(other.ask("SCRIPT KILL"), "OK");
        assert_killed(&mut runner);
        wait_for(|| (remaining(&mut http, "one") == Some(10)).then_some(()));
    }
}

#[test]
fn a_write_whose_waiters_move_to_a_held_key_is_told_busy() {
    for threads in ["1", "4"] {
        let server = server(&["--threads", threads]);
        let (mut other, mut mover) = (Client::connect(server.address()), Client::connect(server.address()));
        let mut runner = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
        let free = super::free_key(&mut other);
        assert_eq!(other.ask("SCRIPT KILL"), "OK");
        assert_killed(&mut runner);
        mover.write(format!("BLMOVE {free} held LEFT RIGHT 0\r\n").as_bytes());
        wait_for(|| (other.figure("blocked_clients") == 1).then_some(()));

        let mut runner = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
        assert_eq!(other.ask(&format!("RPUSH {free} element")), BUSY);
        assert_eq!(other.ask(&format!("LLEN {free}")), "0", "nothing of it was done");
        for (line, reply) in [("MULTI", "OK"), ("RPUSH free element", "QUEUED")] {
            assert_eq!(other.ask(&line.replace("free", &free)), reply);
        }
        assert!(other.ask("EXEC").starts_with("-EXECABORT Transaction discarded because of: BUSY"));
        assert_eq!(other.ask("SCRIPT KILL"), "OK");
        assert_killed(&mut runner);
        assert_eq!(other.ask(&format!("RPUSH {free} element")), "1");
        assert_eq!(mover.read_text().as_deref(), Some("element"));
        assert_eq!(other.ask("LRANGE held 0 -1"), "[element]");
    }
}
