//! GET /subscribe: both forms of a feed, hidden subjects, groups, the end of a feed.

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::feeds::{next, subscribe};
use crate::support::in_process::InProcess;
use crate::support::process::{Server, wait_for};

fn server() -> Server {
    Server::quartet(&["--http-port", "0", "--broker-port", "0"])
}

#[test]
fn a_browser_and_curl_get_what_redis_cli_publishes() {
    let server = server();
    let mut events = subscribe(&server, "/subscribe/news.*", "text/event-stream");
    let mut lines = subscribe(&server, "/subscribe/other,news.eu", "application/x-ndjson");
    let mut resp = Client::connect(server.address());
    assert_eq!(resp.ask("PUBLISH news.eu hello"), "2");
    assert!(
        events
            .read_until("\n\n")
            .ends_with("event: message\ndata: {\"subject\":\"news.eu\",\"payload\":\"hello\"}\n\n")
    );
    assert!(lines.read_until("}\n").ends_with("{\"subject\":\"news.eu\",\"payload\":\"hello\"}\n"));
    resp.call(&[&b"PUBLISH"[..], b"other", b"\xff\0"]);
    assert_eq!(next(&mut lines), serde_json::json!({"subject": "other", "base64": "/wA="}));
}

#[test]
fn channels_that_are_no_subjects_reach_those_who_name_them() {
    let server = server();
    let mut named = subscribe(&server, "/subscribe?subject=a,b&subject=two%20words", "application/x-ndjson");
    let mut all = subscribe(&server, "/subscribe/%3E", "application/x-ndjson");
    let mut resp = Client::connect(server.address());
    assert_eq!(resp.call(&["PUBLISH", "two words", "1"]), resp.call(&["PUBLISH", "two words", "2"]));
    assert_eq!(resp.ask("PUBLISH a,b 3"), "2");
    for payload in ["1", "2", "3"] {
        assert_eq!(next(&mut named)["payload"], payload);
    }
    assert_eq!(next(&mut all)["payload"], "3");
}

#[test]
fn one_member_of_a_group_gets_each_message() {
    let server = server();
    let path = "/subscribe/jobs.%3E?group=workers";
    let members = [0, 1].map(|_| subscribe(&server, path, "application/x-ndjson"));
    let mut other = subscribe(&server, "/subscribe/jobs.mail?group=others", "application/x-ndjson");
    let mut resp = Client::connect(server.address());
    for number in 0..10 {
        assert_eq!(resp.ask(&format!("PUBLISH jobs.mail {number}")), "2");
    }
    for number in 0..10 {
        assert_eq!(next(&mut other)["payload"], number.to_string());
    }
    drop(members);
    wait_for(|| (resp.ask("PUBLISH jobs.mail end") == "1").then_some(()));
}

/// Publishes many long messages that nobody reads, and then a short one.
fn publish_unread(server: &Server) {
    let mut resp = Client::connect(server.address());
    for number in 0..UNREAD {
        let payload = format!("{number} {}", "x".repeat(100_000));
        resp.call(&["PUBLISH", "news", payload.as_str()]);
    }
    resp.ask("PUBLISH news end");
}

/// Many more messages than fit into sockets and what may wait for a feed.
const UNREAD: u64 = 400;

#[test]
fn a_slow_reader_is_told_what_it_has_missed() {
    for (form, policy) in [("text/event-stream", "drop-oldest"), ("application/x-ndjson", "keep-latest")] {
        let server = server();
        let mut feed = subscribe(&server, &format!("/subscribe/news?slow-consumer={policy}"), form);
        publish_unread(&server);
        let (mut seen, mut missed, mut next_number) = (0, 0, 0);
        loop {
            let object = next(&mut feed);
            if let Some(gap) = object["missed"].as_u64() {
                assert!(gap > 0);
                (missed, next_number) = (missed + gap, next_number + gap);
                continue;
            }
            let payload = object["payload"].as_str().expect("a message is text");
            if payload == "end" {
                break;
            }
            let number = payload.split(' ').next().and_then(|number| number.parse().ok());
            assert_eq!(number, Some(next_number));
            (seen, next_number) = (seen + 1, next_number + 1);
        }
        assert_eq!(seen + missed, UNREAD, "{policy}");
        assert!(missed > 0, "{policy}");
    }
}

#[test]
fn a_slow_reader_is_disconnected_if_it_does_not_want_to_miss_anything() {
    let server = server();
    let mut feed = subscribe(&server, "/subscribe/news", "application/x-ndjson");
    publish_unread(&server);
    // The last chunk is empty.
    let read = feed.read_until("\r\n0\r\n\r\n");
    assert!(!read.contains("missed") && !read.contains("\"end\""), "it ends before the gap");
}

#[test]
fn a_stream_is_not_taken_for_the_client_of_its_number() {
    let server = server();
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    client.write("CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
    client.flush();
    let number = info["client_id"].as_u64().expect("a client has a number");
    let feeds: Vec<_> =
        (0..=number).map(|_| subscribe(&server, "/subscribe/_INBOX.a", "text/event-stream")).collect();
    client.check("PUB nobody _INBOX.a 0\r\n\r\nPING\r\n", "PONG\r\n");
    let told = "HMSG _INBOX.a 1 38 38\r\nNATS/1.0 503\r\n";
    client.check("SUB _INBOX.a 1\r\nPUB nobody _INBOX.a 0\r\n\r\n", told);
    drop(feeds);
}

#[test]
fn a_subscription_ends_with_its_stream() {
    let server = server();
    let mut resp = Client::connect(server.address());
    drop(subscribe(&server, "/subscribe/news", "text/event-stream"));
    wait_for(|| (resp.ask("PUBLISH news hello") == "0").then_some(()));
}

#[test]
fn what_cannot_be_subscribed_to_is_named() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    for (path, field) in [
        ("/subscribe", "subject"),
        ("/subscribe?subject=", "subject"),
        ("/subscribe/a..*", "subject"),
        ("/subscribe/a,%3E.b", "subject"),
        ("/subscribe/a,,b", "subject"),
        ("/subscribe/%FF", "pattern"),
        ("/subscribe/a?group=two%20words", "group"),
        ("/subscribe/a?group=", "group"),
        ("/subscribe/a?slow-consumer=wait", "slow-consumer"),
        ("/subscribe/a?since=all", "since"),
    ] {
        let response = http.get(path);
        assert_eq!((response.problem(), response.status), ("invalid-value".to_owned(), 400), "{path}");
        assert_eq!(response.json()["field"], field, "{path}");
    }
    let many: Vec<String> = (0..=100).map(|number| format!("subject={number}")).collect();
    let response = http.get(&format!("/subscribe?{}", many.join("&")));
    assert_eq!(response.json()["allowed"], "1 to 100 subjects and patterns");
    let refused = http.ask("GET", "/subscribe/a", &[("Accept", "application/json")], b"");
    assert_eq!(refused.problem(), "not-acceptable");
    // A link of another site would take messages from a queue group.
    let followed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(http.ask("GET", "/subscribe/a", &followed, b"").problem(), "foreign-origin");
}
