//! The lists that hold under every policy, over HTTP.

use serde_json::json;

use super::check;
use crate::support::in_process::InProcess;

#[test]
fn lists_are_read_and_changed() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    assert_eq!(http.get("/lists/deny").json(), json!([]));
    for (status, pattern) in
        [(201, "10.0.0.0%2F8"), (204, "10.0.0.0%2F8"), (201, "bad%3A%2A"), (201, "%FF%2A")]
    {
        let put = http.ask("PUT", &format!("/lists/deny/{pattern}"), &[], b"");
        assert_eq!(put.status, status, "{pattern}: {put:?}");
    }
    let listed = json!([{"pattern": "10.0.0.0/8"}, {"pattern": "bad:*"}, {"pattern": "/yo=", "pattern_encoding": "base64"}]);
    assert_eq!(http.get("/lists/deny").json(), listed);
    assert_eq!(http.get("/lists/allow").json(), json!([]));
    for key in ["10.1.2.3", "bad:x"] {
        assert_eq!(check(&mut http, "", key).status, 429, "{key}");
    }
    let mut resp = server.resp();
    assert_eq!(resp.ask("RL.DENY DEL bad:*"), "1", "it is the list that RESP has");
    assert_eq!(check(&mut http, "", "bad:x").status, 200);
    assert_eq!(http.ask("DELETE", "/lists/deny/10.0.0.0%2F8", &[], b"").status, 204);
    let absent = http.ask("DELETE", "/lists/deny/10.0.0.0%2F8", &[], b"");
    assert_eq!((absent.status, absent.problem().as_str()), (404, "no-such-pattern"));
    assert_eq!(check(&mut http, "", "10.1.2.3").status, 200);
    assert_eq!(http.ask("PUT", "/lists/allow/vip%3A%2A", &[], b"").status, 201);
    assert_eq!(check(&mut http, "", "vip:x").json()["limit"], -1);
    let other = http.get("/lists/none");
    assert_eq!((other.status, &other.json()["field"]), (400, &json!("list")));
    let long = "k".repeat(1025);
    assert_eq!(http.ask("PUT", &format!("/lists/deny/{long}"), &[], b"").problem(), "invalid-value");
}
