//! The state that outlives the server: changes of operators, and counters that matter for long.

use std::time::Duration;

use quartet::journal::RECORD_MAX;
use quartet::limit::policies::POLICIES_MAX;
use rustix::process::{Signal, kill_process};

use super::{check, connect, put_policy};
use crate::support::client::{Client, request};
use crate::support::http::Http;
use crate::support::process::{Folder, Server, limited, pause, wait_for};

/// A crash loses at most the counts of this time.
const LOST_AT_MOST: Duration = Duration::from_secs(1);

fn server(folder: &Folder) -> Server {
    let data = folder.path().join("data").display().to_string();
    Server::quartet(&["--http-port", "0", "--dir", &data])
}

fn stop(mut server: Server) {
    kill_process(server.process(), Signal::TERM).expect("it runs");
    assert!(server.wait().success());
}

fn remaining(http: &mut Http, policy: &str, user: &str) -> i64 {
    let looked = check(http, &format!("?policy={policy}&peek=true&cost=0"), user).json();
    looked["remaining"].as_i64().expect("it is a number")
}

#[test]
fn as_many_policies_as_are_allowed_outlive_the_default_one() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut client = Client::connect(first.address());
    assert_eq!(client.ask("RL.POLICY DEL default"), "1");
    for number in 0..POLICIES_MAX {
        client.write(format!("RL.POLICY SET p{number} ALGO gcra LIMIT 1 PERIOD 1000\r\n").as_bytes());
    }
    for _ in 0..POLICIES_MAX {
        assert_eq!(client.read_text().as_deref(), Some("OK"));
    }
    let one_more = client.ask("RL.POLICY SET more ALGO gcra LIMIT 1 PERIOD 1000");
    assert!(one_more.contains("allowed is at most 10000"), "{one_more}");
    stop(first);
    let second = server(&folder);
    let mut client = Client::connect(second.address());
    assert!(client.ask("RL.CHECK a").contains("there is no policy 'default'"));
    assert!(client.ask("RL.CHECK a POLICY p9999").starts_with("[1, 1, 0,"));
}

#[test]
fn blocks_that_a_policy_makes_do_not_gather_while_the_disk_takes_nothing() {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let server = Server::quartet_as(&["--dir", &data], |command| limited("ulimit -f 32", command));
    let mut client = Client::connect(server.address());
    let policy = "ALGO fixed LIMIT 1 PERIOD 60000";
    assert_eq!(
        client.ask(&format!("RL.POLICY SET strict {policy} BLOCKAFTER 1 WITHIN 60000 FOR 600000")),
        "OK"
    );
    let mut set = (0..POLICIES_MAX).map(|number| client.ask(&format!("RL.POLICY SET p{number} {policy}")));
    let refused = set.find(|reply| reply != "OK").expect("the file may not grow for ever");
    assert!(refused.starts_with("-MISCONF the disk does not have"), "{refused}");
    let appended = |client: &mut Client| {
        let page = client.ask("INFO persistence");
        page.lines().find(|line| line.starts_with("limits_journal_appended_bytes:")).map(str::to_owned)
    };
    let before = appended(&mut client).expect("there is a journal");
    for number in 0..100 {
        assert!(client.ask(&format!("RL.CHECK {number} POLICY strict")).starts_with("[1,"));
        assert!(client.ask(&format!("RL.CHECK {number} POLICY strict")).starts_with("[0,"));
        assert!(client.ask(&format!("RL.CHECK {number} POLICY default")).starts_with("[0,"), "it is blocked");
    }
    assert_eq!(appended(&mut client), Some(before));
}

#[test]
fn a_counter_keeps_its_deadline_when_persist_is_asked() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut http = connect(&first);
    put_policy(
        &mut http,
        "day",
        r#"{"limits": [{"algorithm": "fixed", "limit": 10, "period_ms": 86400000}]}"#,
    );
    assert_eq!(check(&mut http, "?policy=day&cost=4", "alice").status, 200);
    assert_eq!(Client::connect(first.address()).ask("PERSIST rl:day:alice"), "0");
    stop(first);
    assert_eq!(remaining(&mut connect(&server(&folder)), "day", "alice"), 6);
}

#[test]
fn a_key_that_is_too_long_for_the_journal_takes_nothing_else_along() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut http = connect(&first);
    put_policy(
        &mut http,
        "day",
        r#"{"limits": [{"algorithm": "fixed", "limit": 10, "period_ms": 86400000}]}"#,
    );
    let mut client = Client::connect(first.address());
    let key = "k".repeat(RECORD_MAX + 1);
    client.write(&request(&["CL.THROTTLE", &key, "0", "1", "86400"]));
    assert!(client.read_text().is_some_and(|answer| answer.starts_with("[0, 1,")));
    pause(LOST_AT_MOST);
    assert_eq!(check(&mut http, "?policy=day&cost=4", "alice").status, 200);
    stop(first);
    assert_eq!(remaining(&mut connect(&server(&folder)), "day", "alice"), 6);
}

#[test]
fn long_windows_and_policies_outlive_a_crash() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut http = connect(&first);
    let algorithms = ["gcra", "sliding", "log", "fixed", "leaky", "concurrency", "refill"];
    for algorithm in algorithms {
        let definition =
            format!(r#"{{"limits": [{{"algorithm": "{algorithm}", "limit": 10, "period_ms": 86400000}}]}}"#);
        put_policy(&mut http, algorithm, &definition);
        assert_eq!(check(&mut http, &format!("?policy={algorithm}&cost=4"), "alice").status, 200);
        assert_eq!(check(&mut http, &format!("?policy={algorithm}&cost=4"), "bob").status, 200);
    }
    pause(LOST_AT_MOST);
    for algorithm in algorithms {
        let reset = format!("/limits/bob/reset?policy={algorithm}");
        assert_eq!(http.ask("POST", &reset, &[], b"").status, 204);
    }
    assert_eq!(http.ask("DELETE", "/policies/leaky", &[], b"").status, 204);
    pause(LOST_AT_MOST);
    // Dropped, it is killed.
    drop(first);
    let second = server(&folder);
    let mut http = connect(&second);
    for algorithm in algorithms.into_iter().filter(|algorithm| *algorithm != "leaky") {
        let left = (remaining(&mut http, algorithm, "alice"), remaining(&mut http, algorithm, "bob"));
        assert_eq!(left, (6, 10), "{algorithm}");
    }
    assert_eq!(check(&mut http, "?policy=leaky", "alice").status, 404);
}

#[test]
fn changes_to_counters_as_keys_outlive_a_crash() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut http = connect(&first);
    let day = r#"{"limits": [{"algorithm": "fixed", "limit": 10, "period_ms": 86400000}]}"#;
    put_policy(&mut http, "day", day);
    for user in ["deleted", "overwritten", "renamed", "copied", "shortened", "kept"] {
        assert_eq!(check(&mut http, "?policy=day&cost=4", user).status, 200);
    }
    pause(LOST_AT_MOST);
    let mut client = Client::connect(first.address());
    for (command, reply) in [
        ("DEL rl:day:deleted", "1"),
        ("SET rl:day:overwritten text", "OK"),
        ("RENAME rl:day:renamed rl:day:other", "OK"),
        ("COPY rl:day:copied rl:day:twin", "1"),
        ("EXPIRE rl:day:shortened 1", "1"),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
    pause(LOST_AT_MOST);
    drop(first);
    let second = server(&folder);
    let mut http = connect(&second);
    for (user, left) in [
        ("deleted", 10),
        ("overwritten", 10),
        ("renamed", 10),
        ("other", 6),
        ("copied", 6),
        ("twin", 6),
        ("shortened", 10),
        ("kept", 6),
    ] {
        assert_eq!(remaining(&mut http, "day", user), left, "{user}");
    }
    assert_eq!(Client::connect(second.address()).ask("SWAPDB 0 1"), "OK");
    pause(LOST_AT_MOST);
    drop(second);
    let third = server(&folder);
    assert_eq!(remaining(&mut connect(&third), "day", "kept"), 10);
    let mut client = Client::connect(third.address());
    assert_eq!(client.ask("SWAPDB 0 1"), "OK");
    assert_eq!(remaining(&mut connect(&third), "day", "kept"), 6);
    assert_eq!(client.ask("FLUSHALL"), "OK");
    pause(LOST_AT_MOST);
    drop(third);
    let fourth = server(&folder);
    assert_eq!(remaining(&mut connect(&fourth), "day", "kept"), 10);
}

#[test]
fn a_server_that_is_stopped_loses_nothing() {
    let folder = Folder::new();
    for round in 1..=4 {
        let server = server(&folder);
        let mut http = connect(&server);
        put_policy(
            &mut http,
            "day",
            r#"{"limits": [{"algorithm": "fixed", "limit": 10, "period_ms": 86400000}]}"#,
        );
        assert_eq!(check(&mut http, "?policy=day", "alice").status, 200);
        assert_eq!(remaining(&mut http, "day", "alice"), 10 - round);
        stop(server);
    }
}

#[test]
fn short_windows_and_servers_without_a_directory_keep_nothing() {
    let folder = Folder::new();
    let first = server(&folder);
    assert_eq!(check(&mut connect(&first), "?cost=50", "alice").status, 200);
    stop(first);
    assert!(!folder.path().join("data").join("journal").exists(), "nothing had to be written");
}

#[test]
fn changes_of_operators_are_on_the_disk_before_the_reply() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut client = Client::connect(first.address());
    for (command, reply) in [
        ("RL.POLICY SET kept ALGO fixed LIMIT 7 PERIOD 1000 ALLOW free-* DENY root", "OK"),
        ("RL.POLICY SET gone ALGO fixed LIMIT 7 PERIOD 1000", "OK"),
        ("RL.POLICY SET gone-too ALGO fixed LIMIT 7 PERIOD 1000", "OK"),
        ("RL.ALLOW ADD office-*", "1"),
        ("RL.ALLOW ADD left", "1"),
        ("RL.DENY ADD mallory", "1"),
        ("RL.DENY ADD forgiven", "1"),
        ("RL.BLOCK eve 3600000", "OK"),
        ("RL.BLOCK adam 3600000", "OK"),
        ("RL.BLOCK brief 1", "OK"),
        ("RL.POLICY DEL gone none gone-too", "2"),
        ("RL.ALLOW DEL left", "1"),
        ("RL.DENY DEL forgiven", "1"),
        ("RL.BLOCK adam 0", "OK"),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
    // Dropped, it is killed.
    drop(first);
    for _ in 0..2 {
        // Settings that are there after one start are there after the next.
        let server = server(&folder);
        let mut client = Client::connect(server.address());
        assert_eq!(client.ask("RL.POLICY LIST"), "[default, kept]");
        assert_eq!(client.ask("RL.ALLOW LIST"), "[office-*]");
        assert_eq!(client.ask("RL.DENY LIST"), "[mallory]");
        let allowed = |client: &mut Client, key: &str| {
            client.ask(&format!("RL.CHECK {key} POLICY kept PEEK")).starts_with("[1,")
        };
        for (key, is_allowed) in [
            ("office-1", true),
            ("mallory", false),
            ("forgiven", true),
            ("root", false),
            ("eve", false),
            ("adam", true),
            ("brief", true),
        ] {
            assert_eq!(allowed(&mut client, key), is_allowed, "{key}");
        }
        let blocked = client.ask("RL.CHECK eve POLICY kept");
        let retry_after = blocked.trim_matches(['[', ']']).split(", ").nth(3).map(str::parse::<u64>);
        assert!(matches!(retry_after, Some(Ok(1..=3_600_000))), "{blocked}");
    }
}

#[test]
fn a_journal_that_cannot_be_made_is_reported_and_tried_again() {
    let folder = Folder::new();
    let server = server(&folder);
    let (obstacle, one) = (
        folder.path().join("data").join("journal"),
        r#"{"limits": [{"algorithm": "fixed", "limit": 1, "period_ms": 86400000}]}"#,
    );
    std::fs::create_dir_all(folder.path().join("data")).expect("the folder was just made");
    std::fs::write(&obstacle, "in the way").expect("the folder was just made");
    let mut http = connect(&server);
    let mut client = Client::connect(server.address());
    // The first ones find out.
    let reply = client.ask("RL.POLICY SET unkept ALGO fixed LIMIT 1 PERIOD 1000");
    assert!(reply.starts_with("-MISCONF "), "{reply}");
    let unkept = http.ask("PUT", "/policies/unkept", &[], one.as_bytes());
    assert_eq!(unkept.status, 503, "{unkept:?}");
    for refused in [
        "RL.POLICY SET p ALGO fixed LIMIT 1 PERIOD 1000",
        "RL.POLICY DEL default",
        "RL.DENY ADD x",
        "RL.BLOCK x 1000",
    ] {
        let reply = client.ask(refused);
        assert!(reply.starts_with("-MISCONF ") && reply.contains("journal"), "{refused}: {reply}");
    }
    assert_eq!(http.ask("PUT", "/limits/x/block", &[], br#"{"ttl_ms": 1000}"#).status, 503);
    assert_eq!(client.ask("RL.DENY LIST"), "[]");
    let readiness = http.ask("GET", "/health/ready", &[], b"");
    assert_eq!(readiness.status, 503);
    assert!(
        readiness.json()["parts"]["limits"].as_str().is_some_and(|reason| reason != "up"),
        "{readiness:?}"
    );
    assert!(client.ask("INFO persistence").contains("limits_journal_status:err"));
    let metrics = http.ask("GET", "/metrics", &[], b"");
    assert!(metrics.text().contains("quartet_journal_failed{service=\"limits\"} 1"));
    // Counters go on.
    assert!(client.ask("RL.CHECK a INLINE fixed 5 86400000").starts_with("[1, 5, 4,"));
    std::fs::remove_file(&obstacle).expect("it is there");
    wait_for(|| (client.ask("RL.POLICY SET p ALGO fixed LIMIT 1 PERIOD 1000") == "OK").then_some(()));
    assert_eq!(http.ask("GET", "/health/ready", &[], b"").status, 200);
    assert!(client.ask("INFO persistence").contains("limits_journal_status:ok"));
    assert!(client.ask("RL.CHECK a INLINE fixed 5 86400000").starts_with("[1, 5, 3,"));
    stop(server);
    let second = self::server(&folder);
    let mut client = Client::connect(second.address());
    assert_eq!(client.ask("RL.POLICY LIST"), "[default, p, unkept]");
    assert!(client.ask("RL.CHECK a INLINE fixed 5 86400000 PEEK").starts_with("[1, 5, 3,"));
}

#[test]
fn open_reservations_outlive_a_crash_and_ended_ones_do_not() {
    let folder = Folder::new();
    let first = server(&folder);
    let mut client = Client::connect(first.address());
    let algorithms = ["gcra", "sliding", "log", "fixed", "leaky", "refill"];
    let reserve = |client: &mut Client, policy: &str, cost: u32, ttl: u32| {
        let reserved = client.ask(&format!("RL.RESERVE 1 {policy} bot {cost} TTL {ttl}"));
        reserved.trim_matches(['[', ']']).split(", ").next().expect("it has an id").to_owned()
    };
    let left = |client: &mut Client, policy: &str| {
        let peeked = client.ask(&format!("RL.CHECK bot POLICY {policy} COST 0 PEEK"));
        peeked.split(", ").nth(2).and_then(|left| left.parse::<i64>().ok())
    };
    let mut open = Vec::new();
    for algorithm in algorithms {
        let set =
            format!("RL.POLICY SET {algorithm} ALGO {algorithm} LIMIT 500 PERIOD 86400000 ONEXPIRY REFUND");
        assert_eq!(client.ask(&set), "OK");
        let ended = reserve(&mut client, algorithm, 100, 3_600_000);
        open.push((algorithm, reserve(&mut client, algorithm, 200, 3_600_000), ended));
    }
    let brief = reserve(&mut client, "fixed", 50, 1_500);
    pause(LOST_AT_MOST);
    for (_, _, ended) in &open {
        assert_eq!(client.ask(&format!("RL.COMMIT {ended} 10")), "1");
    }
    pause(LOST_AT_MOST);
    // Dropped, it is killed.
    drop(first);
    let second = server(&folder);
    let mut client = Client::connect(second.address());
    wait_for(|| (left(&mut client, "fixed") == Some(290)).then_some(()));
    assert_eq!(client.ask(&format!("RL.COMMIT {brief} 10")), "0", "its time was over");
    for (algorithm, reserved, ended) in &open {
        assert_eq!(left(&mut client, algorithm), Some(290), "{algorithm}");
        assert_eq!(client.ask(&format!("RL.COMMIT {ended} 10")), "0", "{algorithm}");
        assert_eq!(client.ask(&format!("RL.COMMIT {reserved} 20")), "1", "{algorithm}");
        assert_eq!(left(&mut client, algorithm), Some(470), "{algorithm}");
    }
    let kept = reserve(&mut client, "fixed", 100, 3_600_000);
    stop(second);
    let third = server(&folder);
    let mut client = Client::connect(third.address());
    assert_eq!(left(&mut client, "fixed"), Some(370));
    assert_eq!(client.ask(&format!("RL.CANCEL {kept}")), "1");
    assert_eq!(left(&mut client, "fixed"), Some(470));
}
