//! Locks over HTTP, as somebody with curl meets them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::http::{Http as Socket, Response};
use crate::support::in_process::{Http, InProcess};
use crate::support::process::{Folder, Server, wait_for};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn server() -> InProcess {
    InProcess::start(&[])
}

fn connect(server: &InProcess) -> Http {
    server.http()
}

fn post(http: &mut Http, path: &str, body: &Value) -> Response {
    http.ask("POST", path, &[], body.to_string().as_bytes())
}

#[track_caller]
fn acquire(http: &mut Http, body: &Value) -> Value {
    let response = post(http, "/lock", body);
    assert_eq!(response.status, 200, "{}", response.text());
    let lock = response.json();
    assert_eq!(response.header("fencing-token"), Some(lock["fence"].to_string().as_str()));
    lock
}

fn id(lock: &Value) -> &str {
    lock["lock_id"].as_str().expect("an id is text")
}

#[test]
fn the_call_of_the_readme() {
    let server = server();
    let mut http = connect(&server);
    let body = br#"{"resource": "shared-resource", "ttl": 30}"#;
    // As `curl -d` sends it.
    let lock = http.ask("POST", "/lock", &[FORM], body).json();
    assert_eq!(lock["resources"], json!(["shared-resource"]));
    assert_eq!((&lock["holds"], &lock["waited_ms"]), (&json!(1), &json!(0)));
    let left = lock["expires_in_ms"].as_u64().expect("a lease has an end");
    assert!((29_000..=30_000).contains(&left), "{left}");
    assert_eq!(lock["owner"].as_str().map(str::len), Some(32), "an owner is made up");

    let refused = http.ask("POST", "/lock", &[FORM], body);
    assert_eq!((refused.status, refused.problem().as_str()), (409, "lock-held"));
    let problem = refused.json();
    assert_eq!(problem["holder"]["owner"], lock["owner"]);
    assert_eq!(problem["holder"]["fence"], lock["fence"]);
    assert_eq!(problem["queue_length"], 0);
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|left| (1..=30_000).contains(&left)), "{problem}");

    assert_eq!(http.ask("DELETE", &format!("/lock/{}", id(&lock)), &[], b"").status, 204);
    let next = http.ask("POST", "/lock", &[FORM], body).json();
    assert!(next["fence"].as_u64() > lock["fence"].as_u64());
}

#[test]
fn a_lease_is_renewed_checked_and_given_back_once() {
    let server = server();
    let mut http = connect(&server);
    let lock = acquire(&mut http, &json!({ "resources": ["a", "b"], "ttl_ms": 60_000, "owner": "me" }));
    let path = |action: &str| format!("/lock/{}{action}", id(&lock));
    let renewed = http.ask("PUT", &path("/renew"), &[], br#"{"ttl": 120}"#).json();
    assert_eq!((&renewed["fence"], &renewed["lock_id"]), (&lock["fence"], &lock["lock_id"]));
    assert!(renewed["expires_in_ms"].as_u64().is_some_and(|left| left > 60_000));
    let check = |http: &mut Http, fence: &Value| {
        post(http, &path("/check"), &json!({ "fence": fence })).json()["current"].clone()
    };
    assert_eq!(check(&mut http, &lock["fence"]), true);
    assert_eq!(check(&mut http, &json!(lock["fence"].as_u64().map(|fence| fence + 1))), false);
    assert_eq!(http.ask("DELETE", &path(""), &[], b"").status, 204);
    assert_eq!(check(&mut http, &Value::Null), false);
    for response in
        [http.ask("DELETE", &path(""), &[], b""), http.ask("PUT", &path("/renew"), &[], br#"{"ttl": 1}"#)]
    {
        assert_eq!((response.status, response.problem().as_str()), (409, "lock-not-held"));
    }
}

#[test]
fn waiters_are_answered_in_their_order() {
    let server = server();
    let (mut holder, waiter, mut other) = (connect(&server), connect(&server), connect(&server));
    let lock =
        acquire(&mut holder, &json!({ "resource": "x", "ttl": 60, "owner": "holder", "meta": "host 1" }));
    let body = json!({ "resource": "x", "ttl": 60, "owner": "waiter", "wait_ms": 60_000 }).to_string();
    let mut waiting = waiter.begin("POST", "/lock", &[], body.as_bytes());
    assert!(waiting.poll().is_none());
    let graph = other.get("/locks/graph").json();
    let waits = &graph["waits"][0];
    assert_eq!((&waits["owner"], &waits["blockers"]), (&json!("waiter"), &json!(["holder"])));
    let seen = other.get("/locks/x").json();
    assert_eq!((&seen["waiters"], &seen["holders"][0]["meta"]), (&json!(1), &json!("host 1")));
    assert_eq!(holder.ask("DELETE", &format!("/lock/{}", id(&lock)), &[], b"").status, 204);
    let granted = waiting.poll().expect("it is answered").json();
    assert_eq!(granted["owner"], "waiter");
    assert!(granted["fence"].as_u64() > lock["fence"].as_u64());

    let body = json!({ "resource": "x", "ttl": 1, "wait_ms": 20 }).to_string();
    let mut late = other.begin("POST", "/lock", &[], body.as_bytes());
    assert!(late.poll().is_none());
    server.advance(Duration::from_millis(20));
    let late = late.poll().expect("its time is over");
    assert_eq!((late.status, late.problem().as_str()), (409, "lock-held"));
    assert_eq!(late.json()["waited_ms"], 20);
}

#[test]
fn a_client_that_hangs_up_waits_no_more_and_is_granted_nothing() {
    let server = Server::quartet(&["--http-port", "0"]);
    let connect = || Socket::connect(server.http_address());
    let (mut holder, mut waiter, mut other) = (connect(), connect(), connect());
    let lock = holder.ask("POST", "/lock", &[], br#"{"resource": "x", "ttl": 60}"#).json();
    let body = json!({ "resource": "x", "ttl": 60, "owner": "gone", "wait_ms": 60_000 }).to_string();
    let (host, length) = (server.http_address(), body.len());
    let head = format!("POST /lock HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
    waiter.write((head + &body).as_bytes());
    let queue = |http: &mut Socket| http.get("/locks/x").json()["waiters"].clone();
    wait_for(|| (queue(&mut other) == 1).then_some(()));
    drop(waiter);
    wait_for(|| (queue(&mut other) == 0).then_some(()));
    assert_eq!(holder.ask("DELETE", &format!("/lock/{}", id(&lock)), &[], b"").status, 204);
    assert_eq!(other.get("/locks/x").json()["holders"], json!([]));
}

#[test]
fn a_deadlock_is_refused_with_its_circle() {
    let server = server();
    let (mut one, mut two) = (connect(&server), connect(&server));
    acquire(&mut one, &json!({ "resource": "x", "ttl": 60, "owner": "one" }));
    acquire(&mut two, &json!({ "resource": "y", "ttl": 60, "owner": "two" }));
    let body = json!({ "resource": "y", "ttl": 60, "owner": "one", "wait_ms": 60_000 }).to_string();
    let mut waiting = one.begin("POST", "/lock", &[], body.as_bytes());
    assert!(waiting.poll().is_none());
    assert_eq!(two.get("/locks/y").json()["waiters"], 1);
    let refused =
        post(&mut two, "/lock", &json!({ "resource": "x", "ttl": 60, "owner": "two", "wait_ms": 60_000 }));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "deadlock"));
    let circle = json!([{ "owner": "two", "waits_for": "x" }, { "owner": "one", "waits_for": "y" }]);
    assert_eq!(refused.json()["cycle"], circle);
    assert_eq!(two.get("/locks/deadlocks").json()["deadlocks"][0]["cycle"], circle);
}

#[test]
fn a_session_keeps_several_locks_and_gives_them_back_together() {
    let server = server();
    let mut http = connect(&server);
    let opened = post(&mut http, "/sessions", &json!({ "ttl": 60 }));
    assert_eq!(opened.status, 201);
    let session = opened.json()["session"].as_str().expect("its name is text").to_owned();
    for resource in ["x", "y"] {
        let lock = acquire(&mut http, &json!({ "resource": resource, "owner": "me", "session": session }));
        assert_eq!(lock.get("ttl"), None);
    }
    assert_eq!(
        http.ask("PUT", &format!("/sessions/{session}/ping"), &[], b"").json()["expires_in_ms"],
        60_000
    );
    let report = http.get(&format!("/sessions/{session}")).json();
    assert_eq!((&report["locks"], &report["resources"]), (&json!(2), &json!(["x", "y"])));
    assert_eq!(http.ask("DELETE", &format!("/sessions/{session}"), &[], b"").status, 204);
    assert_eq!(http.get("/locks").json(), json!({ "cursor": 0, "locks": [] }));
    let gone = http.get(&format!("/sessions/{session}"));
    assert_eq!((gone.status, gone.problem().as_str()), (404, "no-such-session"));
}

#[test]
fn locks_are_listed_and_taken_away() {
    let server = server();
    let mut http = connect(&server);
    let lock = acquire(&mut http, &json!({ "resource": "jobs/1", "ttl": 60, "owner": "me" }));
    acquire(&mut http, &json!({ "resource": "other", "permits": { "count": 2, "of": 3 }, "ttl": 60 }));
    let names = |list: &Value| -> Vec<String> {
        let locks = list["locks"].as_array().expect("a list");
        locks.iter().map(|lock| lock["resource"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(names(&http.get("/locks?match=jobs*").json()), ["jobs/1"]);
    assert_eq!(names(&http.get("/locks?owner=me").json()), ["jobs/1"]);
    let other = http.get("/locks/other").json();
    assert_eq!(
        (&other["holders"][0]["mode"], &other["holders"][0]["permits"]),
        (&json!("permits"), &json!(2))
    );
    let taken = http.ask("DELETE", "/locks/jobs%2F1?reason=stuck", &[], b"").json();
    assert_eq!(taken, json!({ "taken": 1 }));
    let renewed = http.ask("PUT", &format!("/lock/{}/renew", id(&lock)), &[], br#"{"ttl": 1}"#);
    assert_eq!(renewed.problem(), "lock-not-held");
}

#[test]
fn a_repeated_request_gets_what_it_was_given() {
    let server = server();
    let mut http = connect(&server);
    let body = json!({ "resource": "x", "ttl": 60, "owner": "me" }).to_string();
    let key = [("Idempotency-Key", "request 1")];
    let first = http.ask("POST", "/lock", &key, body.as_bytes()).json();
    let again = http.ask("POST", "/lock", &key, body.as_bytes()).json();
    assert_eq!((&again["fence"], &again["holds"]), (&first["fence"], &json!(1)));
    assert_eq!(http.ask("POST", "/lock", &[], body.as_bytes()).status, 409);
}

#[test]
fn a_key_without_an_owner_is_not_ignored() {
    let server = server();
    let mut http = connect(&server);
    let body = json!({ "resource": "x", "ttl": 60 }).to_string();
    let ask =
        |http: &mut Http, body: &str| http.ask("POST", "/lock", &[("Idempotency-Key", "1")], body.as_bytes());
    let first = ask(&mut http, &body).json();
    let again = ask(&mut http, &body);
    assert_eq!(again.status, 200, "{}", again.text());
    for same in ["lock_id", "owner", "fence", "holds"] {
        assert_eq!(again.json()[same], first[same], "{same}");
    }
    assert_eq!(http.ask("DELETE", &format!("/lock/{}", id(&first)), &[], b"").status, 204);
    let late = ask(&mut http, &body);
    assert_eq!((late.status, late.problem().as_str()), (409, "lock-not-held"));
}

#[test]
fn a_key_stands_for_one_request() {
    let server = server();
    let mut http = connect(&server);
    let body = |resource: &str| json!({ "resource": resource, "ttl": 60, "owner": "me", "mode": "shared" });
    let (x, y) = (acquire(&mut http, &body("x")), acquire(&mut http, &body("y")));
    let lock = |lock: &Value, action: &str| format!("/lock/{}{action}", id(lock));
    let opened = post(&mut http, "/sessions", &json!({ "ttl": 60 })).json();
    let session = format!("/sessions/{}", opened["session"].as_str().expect("its name is text"));
    // Each may be sent twice under its key; no other may come under it.
    let requests: Vec<(&str, String, &str)> = vec![
        ("POST", "/lock".to_owned(), r#"{"resource": "z", "ttl": 60, "owner": "me"}"#),
        ("POST", "/lock".to_owned(), r#"{"resource": "z", "ttl": 60, "owner": "other"}"#),
        ("POST", "/lock".to_owned(), r#"{"resource": "z", "ttl": 60}"#),
        ("PUT", lock(&x, "/renew"), r#"{"ttl": 60}"#),
        ("PUT", lock(&x, "/renew"), r#"{"ttl": 61}"#),
        ("PUT", lock(&y, "/renew"), r#"{"ttl": 60}"#),
        ("PUT", "/locks?owner=me".to_owned(), r#"{"ttl": 60}"#),
        ("POST", lock(&x, "/upgrade"), "{}"),
        ("POST", lock(&x, "/downgrade"), ""),
        ("DELETE", lock(&x, ""), ""),
        ("DELETE", lock(&y, ""), ""),
        ("DELETE", "/locks/z".to_owned(), ""),
        ("DELETE", "/locks/z/waits?owner=me".to_owned(), ""),
        ("POST", "/sessions".to_owned(), r#"{"ttl": 60}"#),
        ("POST", "/sessions".to_owned(), r#"{"ttl": 60, "delay": 1}"#),
        ("PUT", format!("{session}/ping"), ""),
        ("DELETE", session, ""),
    ];
    let mut key = 0;
    let used = [("Idempotency-Key", "used")];
    assert_eq!(http.ask("POST", "/lock", &used, br#"{"resource": "used", "ttl": 60}"#).status, 200);
    for (method, path, body) in &requests {
        let other = http.ask(method, path, &used, body.as_bytes());
        assert_eq!(
            (other.status, other.problem().as_str()),
            (422, "idempotency-key-used"),
            "{method} {path}"
        );
        assert_eq!(other.json()["field"], "Idempotency-Key");
        key += 1;
        let key = [("Idempotency-Key", key.to_string())];
        let key = [(key[0].0, key[0].1.as_str())];
        let first = http.ask(method, path, &key, body.as_bytes());
        let again = http.ask(method, path, &key, body.as_bytes());
        assert_eq!(again.status, first.status, "{method} {path}: {}", again.text());
        if first.status != 204 && first.status != 409 {
            for same in ["lock_id", "fence", "renewed", "taken", "cancelled", "session"] {
                assert_eq!(again.json()[same], first.json()[same], "{method} {path}");
            }
        }
    }
    assert_eq!(
        http.ask("POST", "/lock", &[("Idempotency-Key", "")], b"{}").json()["field"],
        "Idempotency-Key"
    );
}

#[test]
fn an_upgrade_whose_reply_was_lost_can_be_sent_again() {
    let server = server();
    let mut http = connect(&server);
    let lock = acquire(&mut http, &json!({ "resource": "x", "ttl": 60, "mode": "shared" }));
    let path = format!("/lock/{}/upgrade", id(&lock));
    let upgrade = |http: &mut Http, key: &str| http.ask("POST", &path, &[("Idempotency-Key", key)], b"{}");
    let first = upgrade(&mut http, "1").json();
    assert!(first["fence"].as_u64() > lock["fence"].as_u64());
    let again = upgrade(&mut http, "1");
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["lock_id"], first["lock_id"]);
    assert_eq!(upgrade(&mut http, "2").problem(), "lock-not-held");
    let renewed = http.ask("PUT", &format!("/lock/{}/renew", id(&again.json())), &[], br#"{"ttl": 1}"#);
    assert_eq!(renewed.status, 200);
}

#[test]
fn a_repeated_release_gives_back_once() {
    let server = server();
    let mut http = connect(&server);
    let body = json!({ "resources": ["x", "y"], "ttl": 60, "owner": "me", "reentrant": true });
    let lock = acquire(&mut http, &body);
    assert_eq!(acquire(&mut http, &body)["holds"], 2);
    assert_eq!(acquire(&mut http, &body)["holds"], 3);
    let path = format!("/lock/{}", id(&lock));
    for _ in 0..2 {
        assert_eq!(http.ask("DELETE", &path, &[("Idempotency-Key", "1")], b"").status, 204);
        assert_eq!(http.get("/locks/x").json()["holders"][0]["holds"], 2);
        assert_eq!(http.get("/locks/y").json()["holders"][0]["holds"], 2);
    }
    for _ in 0..2 {
        assert_eq!(
            http.ask("DELETE", &format!("{path}?all=true"), &[("Idempotency-Key", "2")], b"").status,
            204
        );
    }
    assert_eq!(http.get("/locks").json()["locks"], json!([]));
    assert_eq!(http.ask("DELETE", &path, &[], b"").problem(), "lock-not-held");
}

#[test]
fn all_locks_of_an_owner_are_renewed_together() {
    let server = server();
    let mut http = connect(&server);
    for resource in ["x", "y"] {
        acquire(&mut http, &json!({ "resource": resource, "ttl": 60, "owner": "me" }));
    }
    acquire(&mut http, &json!({ "resource": "z", "ttl": 60, "owner": "other" }));
    let renewed = http.ask("PUT", "/locks?owner=me", &[], br#"{"ttl": 600}"#).json();
    assert_eq!(renewed, json!({ "renewed": 2 }));
    let left = |http: &mut Http, name: &str| {
        http.get(&format!("/locks/{name}")).json()["holders"][0]["expires_in_ms"].as_u64()
    };
    assert!(left(&mut http, "x") > Some(60_000) && left(&mut http, "y") > Some(60_000));
    assert!(left(&mut http, "z") <= Some(60_000));
}

#[test]
fn a_reader_becomes_the_only_one_and_a_reader_again() {
    let server = server();
    let (mut one, mut two, mut other) = (connect(&server), connect(&server), connect(&server));
    let share = |owner: &str| json!({ "resource": "x", "ttl": 60, "owner": owner, "mode": "shared" });
    let (first, second) = (acquire(&mut one, &share("one")), acquire(&mut two, &share("two")));
    let path = |lock: &Value, action: &str| format!("/lock/{}/{action}", id(lock));
    let busy = post(&mut one, &path(&first, "upgrade"), &json!({}));
    assert_eq!((busy.status, busy.problem().as_str()), (409, "lock-held"));
    let body = json!({ "wait_ms": 60_000 }).to_string();
    let mut waiting = one.begin("POST", &path(&first, "upgrade"), &[], body.as_bytes());
    assert!(waiting.poll().is_none());
    assert_eq!(other.get("/locks/x").json()["waiters"], 1);
    // The second upgrade would wait for the first, and the first for it.
    let refused = post(&mut two, &path(&second, "upgrade"), &json!({ "wait_ms": 60_000 }));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "deadlock"));
    assert_eq!(two.ask("DELETE", &format!("/lock/{}", id(&second)), &[], b"").status, 204);
    let alone = waiting.poll().expect("it is answered").json();
    assert!(alone["fence"].as_u64() > first["fence"].as_u64());
    assert_eq!(post(&mut two, "/lock", &share("two")).status, 409);
    let stale = post(&mut one, &path(&first, "downgrade"), &Value::Null);
    assert_eq!(stale.problem(), "lock-not-held", "the fence of before is no longer current");
    let shared = post(&mut one, &path(&alone, "downgrade"), &Value::Null).json();
    assert_eq!((&shared["fence"], &shared["lock_id"]), (&alone["fence"], &alone["lock_id"]));
    acquire(&mut two, &share("two"));
    let several = acquire(&mut one, &json!({ "resources": ["y", "z"], "ttl": 60 }));
    assert_eq!(post(&mut one, &path(&several, "downgrade"), &Value::Null).problem(), "invalid-value");
}

#[test]
fn only_the_present_holder_writes_under_a_fence() {
    let server = server();
    let mut http = connect(&server);
    let lock = acquire(&mut http, &json!({ "resource": "printer", "ttl": 60 }));
    let write = |http: &mut Http, value: &str, query: &str| {
        http.ask(
            "PUT",
            &format!("/cache/report?{query}"),
            &[],
            json!({ "value": value }).to_string().as_bytes(),
        )
    };
    let under = format!("lock=printer&fence={}", lock["fence"]);
    assert_eq!(write(&mut http, "first", &under).status, 201);
    assert_eq!(http.ask("DELETE", &format!("/lock/{}", id(&lock)), &[], b"").status, 204);
    let next = acquire(&mut http, &json!({ "resource": "printer", "ttl": 60 }));
    let late = write(&mut http, "late", &under);
    assert_eq!((late.status, late.problem().as_str()), (409, "fenced"));
    assert_eq!(http.get("/cache/report").json()["value"], "first");
    assert_eq!(write(&mut http, "next", &format!("lock=printer&fence={}", next["fence"])).status, 200);
    assert_eq!(write(&mut http, "half", "lock=printer").problem(), "invalid-value");
}

#[test]
fn an_operator_ends_a_wait() {
    let server = server();
    let (waiter, mut other) = (connect(&server), connect(&server));
    acquire(&mut other, &json!({ "resource": "x", "ttl": 60, "owner": "holder" }));
    let body = json!({ "resource": "x", "ttl": 60, "owner": "waiter", "wait_ms": 60_000 }).to_string();
    let mut waiting = waiter.begin("POST", "/lock", &[], body.as_bytes());
    assert!(waiting.poll().is_none());
    assert_eq!(other.get("/locks/x").json()["waiters"], 1);
    let cancel = |http: &mut Http, owner: &str| {
        http.ask("DELETE", &format!("/locks/x/waits?owner={owner}"), &[], b"").json()
    };
    // It waits for one thing at a time.
    let again =
        post(&mut other, "/lock", &json!({ "resource": "x", "ttl": 1, "owner": "waiter", "wait_ms": 1 }));
    assert_eq!((again.status, again.problem().as_str()), (409, "owner-waits"));
    assert_eq!(cancel(&mut other, "holder"), json!({ "cancelled": 0 }));
    assert_eq!(cancel(&mut other, "waiter"), json!({ "cancelled": 1 }));
    assert_eq!(waiting.poll().expect("it is answered").problem(), "lock-not-granted");
}

#[test]
fn events_of_a_resource_can_be_watched() {
    let server = Server::quartet(&["--http-port", "0"]);
    let connect = || Socket::connect(server.http_address());
    let (mut watcher, mut http) = (connect(), connect());
    let acquire = |http: &mut Socket, body: &Value| {
        let response = http.ask("POST", "/lock", &[], body.to_string().as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    };
    let host = server.http_address();
    watcher.write(format!("GET /locks/x/events HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    // The comment at the beginning says that the watch has begun.
    watcher.read_until("\r\n:\n\n");
    let lock = acquire(&mut http, &json!({ "resource": "x", "ttl": 60, "owner": "me" }));
    acquire(&mut http, &json!({ "resource": "y", "ttl": 60, "owner": "me" }));
    assert_eq!(http.ask("POST", "/lock", &[], br#"{"resource": "x", "ttl": 60}"#).status, 409);
    assert_eq!(http.ask("DELETE", &format!("/lock/{}", id(&lock)), &[], b"").status, 204);
    let events = watcher.read_until("event: released\n");
    let fence = &lock["fence"];
    assert!(
        events.contains("event: acquired\ndata: {\"event\":\"acquired\",\"resource\":\"x\",\"owner\":\"me\""),
        "{events}"
    );
    assert!(events.contains(&format!("\"fence\":{fence},\"waiters\":0}}\n\n")), "{events}");
    assert!(!events.contains("\"y\""), "{events}");
}

#[test]
fn a_problem_tells_ones_own_lock_from_anothers() {
    let server = server();
    let mut http = connect(&server);
    let body = |owner: &str| json!({ "resource": "x", "ttl": 60, "owner": owner, "mode": "shared" });
    let lock = acquire(&mut http, &body("me"));
    let own = post(&mut http, "/lock", &body("me"));
    assert_eq!((own.status, own.problem().as_str()), (409, "lock-held"));
    let detail = own.json()["detail"].as_str().expect("it says what happened").to_owned();
    assert!(detail.starts_with("x is held by this owner already"), "{detail}");
    acquire(&mut http, &body("other"));
    let upgrade = post(&mut http, &format!("/lock/{}/upgrade", id(&lock)), &json!({}));
    assert_eq!((upgrade.status, &upgrade.json()["holder"]["owner"]), (409, &json!("other")));
    assert_eq!(upgrade.json()["detail"], "x is held by another");
    // How it is held is another matter than whether it is.
    let permits = json!({ "resource": "p", "ttl": 60, "owner": "me", "permits": { "count": 1, "of": 3 } });
    let one = acquire(&mut http, &permits);
    let two = acquire(&mut http, &permits);
    assert_ne!(one["lock_id"], two["lock_id"]);
    let downgrade = post(&mut http, &format!("/lock/{}/downgrade", id(&one)), &Value::Null);
    assert_eq!((downgrade.status, downgrade.problem().as_str()), (409, "lock-mode"));
    let session = post(&mut http, "/sessions", &json!({ "ttl": 60 })).json()["session"].clone();
    let kept = acquire(&mut http, &json!({ "resource": "s", "session": session }));
    let renewed = http.ask("PUT", &format!("/lock/{}/renew", id(&kept)), &[], br#"{"ttl": 1}"#);
    assert_eq!((renewed.status, renewed.problem().as_str()), (409, "lock-mode"));
    for lock in [&one, &two] {
        assert_eq!(http.ask("DELETE", &format!("/lock/{}", id(lock)), &[], b"").status, 204);
    }
    assert_eq!(http.get("/locks/p").json()["holders"], json!([]));
}

#[test]
fn a_request_that_makes_no_sense_is_refused_by_its_field() {
    let server = server();
    let mut http = connect(&server);
    let cases = [
        (json!({ "ttl": 30 }), "resource"),
        (json!({ "resource": "x", "resources": ["y"], "ttl": 30 }), "resource"),
        (json!({ "resource": "x", "ttl": 0 }), "ttl"),
        (json!({ "resource": "x", "ttl": 1e300 }), "ttl"),
        (json!({ "resource": "x", "ttl": 1, "ttl_ms": 1 }), "ttl"),
        (json!({ "resource": "x", "ttl": 1, "mode": "both" }), "mode"),
        (json!({ "resource": "x", "ttl": 1, "session": "?" }), "session"),
        (json!({ "resource": "x", "time": 1 }), "time"),
        (json!({ "resource": "x" }), "ttl"),
        (json!({ "resource": "x", "ttl_ms": 0 }), "ttl_ms"),
        (json!({ "resource": "x", "ttl": 1, "wait_ms": 3_000_000_000_u64 }), "wait_ms"),
        (json!({ "resource": "x", "ttl": 1, "permits": { "count": 2, "of": 1 } }), "permits"),
        (
            json!({ "resource": "x", "ttl": 1, "permits": { "count": 1, "of": 1 }, "mode": "shared" }),
            "permits",
        ),
        (json!({ "resource": "x", "ttl": 1, "meta": "m".repeat(1025) }), "meta"),
        (json!({ "resource": "x", "ttl": 1, "owner": "" }), "owner"),
        (json!({ "resource": "x", "ttl": 1, "session": "+0000000000000ff" }), "session"),
        (json!({ "resource": "", "ttl": 1 }), "resource"),
        (json!({ "resources": [], "ttl": 1 }), "resources"),
        (json!({ "resources": ["x", "x"], "ttl": 1 }), "resources"),
    ];
    for (body, field) in cases {
        let response = post(&mut http, "/lock", &body);
        assert_eq!((response.status, response.problem().as_str()), (400, "invalid-value"), "{body}");
        assert_eq!(response.json()["field"], field, "{body}: {}", response.text());
    }
    assert_eq!(http.ask("DELETE", "/lock/7.AAFhAAFi", &[], b"").problem(), "lock-not-held");
    assert_eq!(http.ask("DELETE", "/lock/7", &[], b"").problem(), "invalid-value");
    let unknown = json!({ "resource": "x", "session": "00000000000000ff" });
    assert_eq!(post(&mut http, "/lock", &unknown).problem(), "no-such-session");
}

#[test]
fn preferences_apply_in_any_spelling() {
    let server = server();
    let mut http = connect(&server);
    let body = json!({ "resource": "x", "ttl": 60 }).to_string();
    let ask =
        |http: &mut Http, prefer: &str| http.ask("POST", "/lock", &[("Prefer", prefer)], body.as_bytes());
    let granted = ask(&mut http, "wait=3");
    assert_eq!((granted.status, granted.header("preference-applied")), (200, Some("wait=3")));
    for prefer in ["Wait=1", "wait=1; a=b", "respond-async, , WAIT = \"1\";x"] {
        let mut waiting = http.begin("POST", "/lock", &[("Prefer", prefer)], body.as_bytes());
        assert!(waiting.poll().is_none(), "{prefer}");
        server.advance(Duration::from_secs(1));
        let refused = waiting.poll().expect("its time is over");
        assert_eq!((refused.status, refused.header("preference-applied")), (409, Some("wait=1")), "{prefer}");
        assert_eq!(refused.json()["waited_ms"], 1000, "{prefer}");
    }
    for prefer in ["wait=x", "wait", "waits=1", "return=minimal", ""] {
        let refused = ask(&mut http, prefer);
        assert_eq!((refused.status, refused.header("preference-applied")), (409, None), "{prefer}");
        assert_eq!(refused.json()["waited_ms"], 0, "{prefer}");
    }
}

#[test]
fn a_journal_that_cannot_be_made_is_reported_and_tried_again() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let server = Server::quartet(&["--http-port", "0", "--dir", &data.display().to_string()]);
    std::fs::create_dir_all(&data).expect("the folder was just made");
    std::fs::write(data.join("journal"), "in the way").expect("the folder was just made");
    let mut client = Client::connect(server.address());
    let mut http = Socket::connect(server.http_address());
    for _ in 0..2 {
        let reply = client.ask("LOCK.ACQUIRE r o TTL 60000");
        assert!(reply.starts_with("-MISCONF "), "{reply}");
    }
    let readiness = http.ask("GET", "/health/ready", &[], b"");
    assert_eq!(readiness.status, 503);
    assert!(
        readiness.json()["parts"]["locks"].as_str().is_some_and(|reason| reason != "up"),
        "{readiness:?}"
    );
    assert!(client.ask("INFO persistence").contains("locks_journal_status:err"));
    std::fs::remove_file(data.join("journal")).expect("it is there");
    wait_for(|| client.ask("LOCK.ACQUIRE r o TTL 60000").starts_with('[').then_some(()));
    assert_eq!(http.ask("GET", "/health/ready", &[], b"").status, 200);
    assert!(client.ask("INFO persistence").contains("locks_journal_status:ok"));
}
