//! The endpoints: what they answer, in bodies and in headers.

use serde_json::{Value, json};

use super::{check, put_policy};
use crate::support::http::Response;
use crate::support::in_process::{Http, InProcess};

fn server() -> InProcess {
    InProcess::start(&[])
}

fn connect(server: &InProcess) -> Http {
    server.http()
}

/// A header as text.
fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.header(name).unwrap_or_else(|| panic!("{name} is missing: {response:?}"))
}

fn post(http: &mut Http, path: &str, body: Value) -> Response {
    http.ask("POST", path, &[], body.to_string().as_bytes())
}

#[test]
fn a_fresh_server_answers_the_first_call_of_the_readme() {
    let server = server();
    let mut http = connect(&server);
    let allowed = check(&mut http, "", "user123");
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(header(&allowed, "ratelimit-policy"), "\"default\";q=100;w=60");
    assert_eq!(header(&allowed, "ratelimit"), "\"default\";r=99;t=1");
    assert_eq!(allowed.header("retry-after"), None);
    let body = allowed.json();
    assert_eq!(
        (&body["allowed"], &body["limit"], &body["remaining"]),
        (&json!(true), &json!(100), &json!(99))
    );
}

#[test]
fn a_refusal_names_the_limit_and_the_time() {
    let server = server();
    let mut http = connect(&server);
    let limits = r#"{"limits": [{"name": "user", "algorithm": "fixed", "limit": 2, "period_ms": 3600000},
        {"algorithm": "log", "limit": 3, "period_ms": 7200000, "scope": "global"}]}"#;
    put_policy(&mut http, "api", limits);
    for user in ["alice", "alice"] {
        assert_eq!(check(&mut http, "?policy=api", user).status, 200);
    }
    let refused = check(&mut http, "?policy=api", "alice");
    assert_eq!((refused.status, header(&refused, "content-type")), (429, "application/problem+json"));
    assert_eq!(header(&refused, "ratelimit-policy"), "\"api/user\";q=2;w=3600, \"api/global\";q=3;w=7200");
    assert!(header(&refused, "ratelimit").starts_with("\"api/user\";r=0;t="), "{refused:?}");
    let problem = refused.json();
    assert_eq!(problem["type"], "/problems/quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["api/user"]));
    let millis = problem["retry_after_ms"].as_i64().expect("it is a number");
    assert!((3_500_000..=3_600_000).contains(&millis), "{problem}");
    let seconds: i64 = header(&refused, "retry-after").parse().expect("it is a number");
    assert_eq!(seconds, (millis + 999) / 1000, "rounded up from the same moment");
    assert_eq!(check(&mut http, "?policy=api", "bob").status, 200);
    let global = check(&mut http, "?policy=api", "carol").json();
    assert_eq!(global["violated-policies"], json!(["api/global"]));
}

#[test]
fn several_checks_take_together_or_not_at_all() {
    let server = server();
    let mut http = connect(&server);
    put_policy(&mut http, "few", r#"{"limits": [{"algorithm": "gcra", "limit": 3, "period_ms": 3600000}]}"#);
    let body = json!({"checks": [{"policy": "few", "key": "x", "cost": 2}, {"key": "x"}]});
    assert_eq!(post(&mut http, "/check", body.clone()).status, 200);
    let refused = post(&mut http, "/check", body);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["violated-policies"], json!(["few"]));
    let looked = post(&mut http, "/check", json!({"checks": [{"key": "x", "cost": 0}], "peek": true}));
    assert_eq!(looked.json()["remaining"], 99, "the refusal took nothing from the other policy");
    let impossible = post(&mut http, "/check", json!({"checks": [{"policy": "few", "key": "y", "cost": 4}]}));
    assert_eq!((impossible.status, &impossible.json()["retry_after_ms"]), (429, &json!(-1)));
    assert_eq!(impossible.header("retry-after"), None, "waiting does not help");
}

#[test]
fn policies_are_shown_changed_and_removed() {
    let server = server();
    let mut http = connect(&server);
    let definition =
        r#"{"limits": [{"algorithm": "sliding", "limit": 5, "period_ms": 60000}], "shadow": true}"#;
    put_policy(&mut http, "dark", definition);
    for _ in 0..7 {
        assert_eq!(check(&mut http, "?policy=dark", "eve").status, 200, "it only counts");
    }
    let policy = http.get("/policies/dark").json();
    assert_eq!(policy["limits"][0]["algorithm"], "sliding");
    assert_eq!(
        policy["statistics"],
        json!({"allowed": 5, "refused": 0, "shadow_refused": 2, "without_room": 0})
    );
    let names: Vec<Value> = http.get("/policies").json().as_array().expect("it is a list").clone();
    assert_eq!(names.iter().map(|policy| &policy["name"]).collect::<Vec<_>>(), ["dark", "default"]);
    assert_eq!(http.get("/policies/dark/top").json(), json!([{"key": "eve", "refused": 2}]));
    put_policy(&mut http, "dark", &definition.replace("true", "false"));
    assert_eq!(check(&mut http, "?policy=dark", "eve").status, 429, "its counters went on");
    assert_eq!(http.ask("DELETE", "/policies/dark", &[], b"").status, 204);
    for (method, path) in
        [("DELETE", "/policies/dark"), ("GET", "/policies/dark"), ("GET", "/policies/dark/top")]
    {
        let gone = http.ask(method, path, &[], b"");
        assert_eq!((gone.status, gone.json()["type"].as_str()), (404, Some("/problems/no-such-policy")));
    }
    assert_eq!(check(&mut http, "?policy=dark", "eve").status, 404);
}

#[test]
fn a_key_is_reset_refunded_and_blocked() {
    let server = server();
    let mut http = connect(&server);
    let remaining = |http: &mut Http| check(http, "?peek=true", "a/b").json()["remaining"].clone();
    assert_eq!(check(&mut http, "?cost=30", "a/b").status, 200);
    let refund = http.ask("POST", "/limits/a%2Fb/refund", &[], br#"{"amount": 10}"#);
    assert_eq!(refund.status, 204, "{refund:?}");
    assert_eq!(remaining(&mut http), 80);
    assert_eq!(http.ask("POST", "/limits/a%2Fb/reset", &[], b"").status, 204);
    assert_eq!(remaining(&mut http), 100);
    assert_eq!(http.ask("PUT", "/limits/a%2Fb/block", &[], br#"{"ttl_ms": 60000}"#).status, 204);
    let blocked = check(&mut http, "", "a/b");
    assert_eq!((blocked.status, header(&blocked, "retry-after")), (429, "60"));
    assert_eq!(blocked.json()["violated-policies"], json!(["default"]));
    assert_eq!(http.ask("DELETE", "/limits/a%2Fb/block", &[], b"").status, 204);
    assert_eq!(check(&mut http, "", "a/b").status, 200);
}

#[test]
fn invalid_requests_are_told_the_allowed_values() {
    let server = server();
    let mut http = connect(&server);
    let nobody = http.get("/check");
    assert_eq!((nobody.status, &nobody.json()["field"]), (400, &json!("X-User-ID")));
    for query in ["?cost=-1", "?cost=x", "?polcy=api", "?cost=281474976710656"] {
        assert_eq!(check(&mut http, query, "x").status, 400, "{query}");
    }
    let definition = br#"{"limits": [{"algorithm": "gcra", "limit": 0, "period_ms": 1}]}"#;
    let zero = http.ask("PUT", "/policies/api", &[], definition).json();
    assert_eq!((&zero["field"], &zero["allowed"]), (&json!("limit"), &json!("1 to 281474976710655")));
    let unknown = http.ask("PUT", "/policies/api", &[], br#"{"limits": [], "shadwo": true}"#).json();
    assert_eq!(unknown["field"], "shadwo");
    let key = "k".repeat(1025);
    assert_eq!(check(&mut http, "", &key).status, 400, "a key has an end");
    let none = post(&mut http, "/check", json!({"checks": []}));
    assert_eq!((none.status, &none.json()["field"]), (400, &json!("checks")));
    let many: Vec<Value> = (0..65).map(|number| json!({"key": number.to_string()})).collect();
    assert_eq!(post(&mut http, "/check", json!({"checks": many})).status, 400);
}

#[test]
fn a_check_that_can_never_be_allowed_does_not_wait() {
    let server = server();
    let mut http = connect(&server);
    put_policy(
        &mut http,
        "ten",
        r#"{"limits": [{"algorithm": "fixed", "limit": 10, "period_ms": 3600000}]}"#,
    );
    let ask = json!({"checks": [{"policy": "ten", "key": "u", "cost": 11}], "wait_ms": 3_600_000});
    assert_eq!(post(&mut http, "/check", ask).status, 429);
}

#[test]
fn proxies_get_the_answers_that_they_expect() {
    let server = server();
    let mut http = connect(&server);
    put_policy(
        &mut http,
        "once",
        r#"{"limits": [{"algorithm": "fixed", "limit": 1, "period_ms": 3600000}]}"#,
    );
    for (path, allowed, refused) in [("/auth/nginx", 204, 403), ("/auth/forward", 200, 429)] {
        for (number, names) in [
            vec![("X-User-ID", "u")],
            vec![("X-Real-IP", "10.0.0.1"), ("X-Forwarded-For", "10.0.0.9")],
            vec![("X-Forwarded-For", "1.2.3.4, 10.0.0.2")],
            // A line of the client's, and below it one of the proxy's.
            vec![("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "10.0.0.3")],
            vec![],
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("{path}?policy=once&cost={}", 1);
            let first = http.ask("GET", &path, &names, b"");
            assert_eq!((first.status, first.body.len()), (allowed, 0), "{path} {number}");
            let second = http.ask("GET", &path, &names, b"");
            assert_eq!(second.status, refused, "{path} {number}");
            let seconds: u32 = header(&second, "retry-after").parse().expect("it is a number");
            assert!(seconds > 3_000 && !header(&second, "ratelimit").is_empty());
        }
        for spoofed in [
            vec![("X-Forwarded-For", "9.9.9.9, 10.0.0.2")],
            vec![("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-For", "10.0.0.3")],
        ] {
            let same = http.ask("GET", &format!("{path}?policy=once"), &spoofed, b"");
            assert_eq!(same.status, refused, "what a client puts in front of the chain changes nothing");
        }
        put_policy(
            &mut http,
            "once",
            r#"{"limits": [{"algorithm": "log", "limit": 1, "period_ms": 3600000}]}"#,
        );
    }
}

/// Sets the counter's key to something else, asks, and looks that the value is still there.
#[track_caller]
fn check_untouched(server: &InProcess, counter: &str, method: &str, path: &str, body: &str) {
    let mut resp = server.resp();
    assert_eq!(resp.ask(&format!("SET {counter} value")), "OK");
    let refused = connect(server).ask(method, path, &[], body.as_bytes());
    assert_eq!((refused.status, refused.problem().as_str()), (409, "wrong-type"), "{method} {path}");
    assert_eq!(resp.ask(&format!("GET {counter}")), "value", "{method} {path}");
    resp.ask(&format!("DEL {counter}"));
}

#[test]
fn a_value_at_the_key_of_a_counter_is_never_touched() {
    let server = server();
    let mut http = connect(&server);
    let two = r#"{"limits": [{"name": "a", "algorithm": "gcra", "limit": 9, "period_ms": 3600000},
        {"name": "b", "algorithm": "fixed", "limit": 9, "period_ms": 3600000}]}"#;
    put_policy(&mut http, "p", two);
    let left = |http: &mut Http| {
        let limits = check(http, "?policy=p&peek=true", "doc").json()["limits"].clone();
        [0, 1].map(|limit: usize| limits[limit]["remaining"].as_i64().expect("it is a number"))
    };
    for (counter, other) in [("rl:p/a:doc", 1), ("rl:p/b:doc", 0)] {
        http.ask("POST", "/limits/doc/reset?policy=p", &[], b"");
        assert_eq!(check(&mut http, "?policy=p&cost=4", "doc").status, 200);
        let one = json!({"policy": "p", "key": "doc"});
        let reserved =
            post(&mut http, "/reservations", json!({"checks": [one.clone()], "ttl_ms": 60_000})).json();
        let reservation = format!("/reservations/{}", reserved["id"].as_str().expect("it is text"));
        for (method, path, body) in [
            ("POST", "/limits/doc/reset?policy=p", String::new()),
            ("POST", "/limits/doc/refund", json!({"policy": "p", "amount": 1}).to_string()),
            ("GET", "/check?policy=p&key=doc", String::new()),
            ("GET", "/auth/nginx?policy=p&key=doc", String::new()),
            ("POST", "/check", json!({"checks": [one.clone()]}).to_string()),
            ("POST", "/check", json!({"checks": [one.clone()], "wait_ms": 1000}).to_string()),
            ("POST", "/reservations", json!({"checks": [one.clone()]}).to_string()),
            ("PUT", &format!("{reservation}/commit"), json!({"actual": 3}).to_string()),
            ("DELETE", &reservation, String::new()),
        ] {
            check_untouched(&server, counter, method, path, &body);
            assert_eq!(left(&mut http)[other], 4, "{method} {path} leaves the other counter alone");
        }
        assert_eq!(http.ask("DELETE", &reservation, &[], b"").status, 204, "it was kept");
        assert_eq!(left(&mut http)[other], 5);
    }
    let slots = r#"{"limits": [{"algorithm": "concurrency", "limit": 2, "period_ms": 60000}]}"#;
    put_policy(&mut http, "slots", slots);
    let mut resp = server.resp();
    resp.ask("SET rl:slots:doc value");
    for line in
        ["RL.ENTER slots doc", "RL.LEAVE slots doc 1", "RL.RENEW slots doc 1", "RL.RESET doc POLICY slots"]
    {
        assert!(resp.ask(line).starts_with("-WRONGTYPE"), "{line}");
    }
    assert_eq!(resp.ask("GET rl:slots:doc"), "value");
}

#[test]
fn offenders_are_told_apart_by_their_bytes() {
    let server = server();
    let mut http = connect(&server);
    let one = r#"{"limits": [{"algorithm": "fixed", "limit": 1, "period_ms": 3600000}]}"#;
    put_policy(&mut http, "one", one);
    let mut resp = server.resp();
    for key in [&b"\xff"[..], b"\xfe", b"plain"] {
        for _ in 0..2 {
            resp.call(&[&b"RL.CHECK"[..], key, b"POLICY", b"one"]);
        }
    }
    let mut offenders = http.get("/policies/one/top").json().as_array().expect("it is a list").clone();
    offenders.sort_by_key(Value::to_string);
    assert_eq!(
        offenders,
        [
            json!({"key": "/g==", "key_encoding": "base64", "refused": 1}),
            json!({"key": "/w==", "key_encoding": "base64", "refused": 1}),
            json!({"key": "plain", "refused": 1}),
        ]
    );
}

#[test]
fn a_check_can_take_as_much_as_is_left() {
    let server = server();
    let mut http = connect(&server);
    put_policy(&mut http, "ten", r#"{"limits": [{"algorithm": "log", "limit": 10, "period_ms": 3600000}]}"#);
    let taken = |response: Response| (response.status, response.json()["taken"].clone());
    assert_eq!(taken(check(&mut http, "?policy=ten&cost=7&upto=true", "x")), (200, json!(7)));
    assert_eq!(taken(check(&mut http, "?policy=ten&cost=7&upto=true", "x")), (200, json!(3)));
    assert_eq!(taken(check(&mut http, "?policy=ten&cost=7&upto=true", "x")), (429, json!(0)));
    assert_eq!(taken(check(&mut http, "?policy=ten&cost=1&upto=false", "x")), (429, Value::Null));
    let both = |cost| json!({"upto": true, "checks": [{"policy": "ten", "key": "y", "cost": 90}, {"key": "y", "cost": cost}]});
    assert_eq!(taken(post(&mut http, "/check", both(90))), (200, json!(10)));
    let unequal = post(&mut http, "/check", both(4));
    assert_eq!((unequal.status, &unequal.json()["field"]), (400, &json!("cost")));
    let waiting = post(&mut http, "/check", json!({"upto": true, "wait_ms": 1, "checks": [{"key": "y"}]}));
    assert_eq!((waiting.status, &waiting.json()["field"]), (400, &json!("upto")));
    assert_eq!(http.get("/auth/nginx?policy=ten&cost=50&upto=true&key=z").status, 204);
    assert_eq!(http.get("/auth/nginx?policy=ten&upto=true&key=z").status, 403);
}

#[test]
fn a_key_that_is_refused_often_is_blocked() {
    let server = server();
    let mut http = connect(&server);
    let definition = json!({
        "limits": [{"algorithm": "log", "limit": 1, "period_ms": 3_600_000}],
        "block_after": {"refusals": 2, "within_ms": 3_600_000, "for_ms": 7_200_000},
    });
    put_policy(&mut http, "strict", &definition.to_string());
    assert_eq!(http.get("/policies/strict").json()["block_after"], definition["block_after"]);
    assert_eq!(check(&mut http, "?policy=strict", "eve").status, 200);
    for _ in 0..2 {
        assert_eq!(check(&mut http, "", "eve").status, 200, "not yet");
        assert_eq!(check(&mut http, "?policy=strict", "eve").status, 429);
    }
    let blocked = check(&mut http, "", "eve");
    assert_eq!((blocked.status, header(&blocked, "retry-after")), (429, "7200"), "under every policy");
    assert_eq!(http.ask("DELETE", "/limits/eve/block", &[], b"").status, 204);
    assert_eq!(check(&mut http, "", "eve").status, 200);
    let wrong = json!({"limits": [], "block_after": {"refusals": 2, "within_ms": 0}});
    let wrong = http.ask("PUT", "/policies/x", &[], wrong.to_string().as_bytes()).json();
    assert_eq!(wrong["field"], "block_after.for_ms");
}
