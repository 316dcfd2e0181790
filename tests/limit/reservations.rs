//! Costs that are taken ahead and put right afterwards.

use serde_json::json;

use super::{check, connect, put_policy, server};
use crate::support::http::{Http, Response};
use crate::support::process::wait_for;

fn reserve(http: &mut Http, policy: &str, cost: u64, ttl_ms: u64) -> Response {
    let body = json!({"checks": [{"policy": policy, "key": "bot", "cost": cost}], "ttl_ms": ttl_ms});
    http.ask("POST", "/reservations", &[], body.to_string().as_bytes())
}

fn remaining(http: &mut Http, policy: &str) -> i64 {
    let looked = check(http, &format!("?policy={policy}&peek=true&cost=0"), "bot").json();
    looked["remaining"].as_i64().expect("it is a number")
}

fn id(reserved: &Response) -> String {
    assert_eq!(reserved.status, 201, "{reserved:?}");
    reserved.json()["id"].as_str().expect("it is text").to_owned()
}

#[test]
fn a_reservation_is_put_right_with_every_algorithm() {
    let server = server();
    let mut http = connect(&server);
    for algorithm in ["gcra", "sliding", "log", "fixed", "leaky", "concurrency", "refill"] {
        let definition =
            format!(r#"{{"limits": [{{"algorithm": "{algorithm}", "limit": 500, "period_ms": 86400000}}]}}"#);
        put_policy(&mut http, algorithm, &definition);
        let commit = |http: &mut Http, id: &str, actual: u64| {
            let body = json!({"actual": actual}).to_string();
            http.ask("PUT", &format!("/reservations/{id}/commit"), &[], body.as_bytes()).status
        };
        let less = id(&reserve(&mut http, algorithm, 300, 60_000));
        assert_eq!(remaining(&mut http, algorithm), 200, "{algorithm}: it is taken ahead");
        assert_eq!(reserve(&mut http, algorithm, 201, 60_000).status, 429);
        assert_eq!((commit(&mut http, &less, 120), commit(&mut http, &less, 120)), (204, 404));
        assert_eq!(remaining(&mut http, algorithm), 380, "{algorithm}: what was not used came back");
        let more = id(&reserve(&mut http, algorithm, 100, 60_000));
        assert_eq!(commit(&mut http, &more, 150), 204);
        assert_eq!(remaining(&mut http, algorithm), 230, "{algorithm}: what was used besides is taken");
        let cancelled = id(&reserve(&mut http, algorithm, 200, 60_000));
        for status in [204, 404] {
            assert_eq!(http.ask("DELETE", &format!("/reservations/{cancelled}"), &[], b"").status, status);
        }
        assert_eq!(remaining(&mut http, algorithm), 230, "{algorithm}: a cancellation gives all back");
    }
}

#[test]
fn a_change_of_the_algorithm_leaves_nothing_to_be_put_right() {
    let server = server();
    let mut http = connect(&server);
    let definition = |algorithm: &str| {
        format!(r#"{{"limits": [{{"algorithm": "{algorithm}", "limit": 10, "period_ms": 86400000}}]}}"#)
    };
    put_policy(&mut http, "changed", &definition("gcra"));
    let reserved = id(&reserve(&mut http, "changed", 1, 60_000));
    put_policy(&mut http, "changed", &definition("fixed"));
    assert_eq!(check(&mut http, "?policy=changed&cost=10", "bot").status, 200);
    assert_eq!(http.ask("DELETE", &format!("/reservations/{reserved}"), &[], b"").status, 204);
    assert_eq!(remaining(&mut http, "changed"), 0);
}

#[test]
fn a_reservation_that_expires_is_kept_or_given_back_as_the_policy_says() {
    let server = server();
    let mut http = connect(&server);
    for outcome in ["keep", "refund"] {
        let definition = format!(
            r#"{{"limits": [{{"algorithm": "log", "limit": 10, "period_ms": 86400000}}], "on_expiry": "{outcome}"}}"#
        );
        put_policy(&mut http, outcome, &definition);
    }
    let kept = id(&reserve(&mut http, "keep", 6, 1));
    let refunded = id(&reserve(&mut http, "refund", 6, 1));
    wait_for(|| (remaining(&mut http, "refund") == 10).then_some(()));
    assert_eq!(remaining(&mut http, "keep"), 4, "the older one ended too");
    for id in [kept, refunded] {
        assert_eq!(http.ask("DELETE", &format!("/reservations/{id}"), &[], b"").status, 404);
    }
}

#[test]
fn a_reservation_has_an_end() {
    let server = server();
    let mut http = connect(&server);
    for ttl in [0, 86_400_001] {
        let refused = reserve(&mut http, "default", 1, ttl);
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("ttl")));
    }
    assert_eq!(http.ask("DELETE", "/reservations/nonsense", &[], b"").status, 404);
}
