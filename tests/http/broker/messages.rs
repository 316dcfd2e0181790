//! POST /publish and POST /request, over sockets.

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::feeds::{next, subscribe};
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

#[test]
fn headers_of_a_request_become_those_of_the_message() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut feed = subscribe(&server, "/subscribe/news", "application/x-ndjson");
    let mut http = Http::connect(server.http_address());
    let headers = [
        ("NATS-MSG-ID", "7"),
        ("nats-ttl", "10s"),
        ("X-Trace", "a"),
        ("x-trace", "b"),
        ("CE-Id", "1"),
        ("Content-Type", "text/plain"),
        ("TraceParent", "00-1-2-00"),
        ("Authorization", "Bearer sesame"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Real-IP", "192.0.2.1"),
        ("X-Accel-Redirect", "/"),
        ("Accept", "*/*"),
    ];
    let answer = http.ask("POST", "/publish/news?reply=answers", &headers, b"hello");
    assert_eq!(answer.json(), serde_json::json!({"subject": "news", "receivers": 1}));
    let message = next(&mut feed);
    let expected = serde_json::json!({
        "subject": "news",
        "reply": "answers",
        "headers": {
            "Content-Type": "text/plain", "Nats-Msg-Id": "7", "Nats-TTL": "10s", "X-Trace": ["a", "b"], "ce-id": "1",
            "traceparent": "00-1-2-00",
        },
        "payload": "hello",
    });
    assert_eq!(message, expected);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    http.ask("POST", "/publish/news", &form, b"hello");
    let message = next(&mut feed);
    assert_eq!(message, serde_json::json!({"subject": "news", "payload": "hello"}));
}

#[test]
fn a_message_may_be_as_long_as_the_setting_says() {
    let server = Server::quartet(&["--http-port", "0", "--broker-max-payload", "100kb"]);
    let mut feed = subscribe(&server, "/subscribe/news", "application/x-ndjson");
    let mut http = Http::connect(server.http_address());
    let longest = vec![b'x'; 100 << 10];
    assert_eq!(http.ask("POST", "/publish/news", &[], &longest).json()["receivers"], 1);
    assert_eq!(next(&mut feed)["payload"].as_str().map(str::len), Some(longest.len()));
    // Headers count too.
    let refused = http.ask("POST", "/publish/news", &[("X-A", "b")], &longest);
    assert_eq!((refused.problem().as_str(), refused.status), ("message-too-large", 413));
    let mut http = Http::connect(server.http_address());
    let refused = http.ask("POST", "/publish/news", &[], &[&longest[..], b"x"].concat());
    assert_eq!(refused.problem(), "message-too-large");
    let line = format!("{{\"subject\": \"news\", \"payload\": \"{}x\"}}", "x".repeat(longest.len()));
    let batch = [("Content-Type", "application/x-ndjson")];
    let mut http = Http::connect(server.http_address());
    let refused = http.ask("POST", "/publish", &batch, line.as_bytes());
    assert_eq!((refused.problem().as_str(), &refused.json()["line"]), ("message-too-large", &1.into()));
    // So is a body whose length is not announced.
    let mut http = Http::connect(server.http_address());
    http.write(b"POST /publish/news HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..5 {
        http.write(&[b"10000\r\n", &vec![b'x'; 0x10000][..], b"\r\n"].concat());
    }
    http.write(b"0\r\n\r\n");
    assert_eq!(http.read("POST").expect("it is answered").problem(), "message-too-large");
}

#[test]
fn a_batch_has_a_limit() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut http = Http::connect(server.http_address());
    let batch = [("Content-Type", "application/x-ndjson")];
    let most = "{\"subject\":\"a\"}\n".repeat(10_000);
    assert_eq!(http.ask("POST", "/publish", &batch, most.as_bytes()).json()["published"], 10_000);
    let more = format!("{most}\n{{}}");
    let refused = http.ask("POST", "/publish", &batch, more.as_bytes());
    assert_eq!(refused.json()["allowed"], "at most 10000 lines");
}

#[test]
fn a_client_of_nats_answers_a_request() {
    let server = Server::quartet(&["--http-port", "0", "--broker-port", "0"]);
    let mut service = BrokerClient::quiet(server.broker_address());
    service.write("SUB time.* workers 7\r\n");
    service.flush();
    let mut http = Http::connect(server.http_address());
    let mut ask = |headers: &str, answer: &dyn Fn(&str) -> String| {
        let length = b"utc".len();
        let head =
            format!("POST /request/time.now HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
        http.write(format!("{head}{headers}\r\nutc").as_bytes());
        let line = service.read_line();
        let fields: Vec<&str> = line.split(' ').collect();
        let inbox = fields[3].to_owned();
        assert!(inbox.starts_with("_INBOX.") && inbox.len() == "_INBOX.".len() + 22, "{line}");
        let content: Vec<String> =
            std::iter::from_fn(|| Some(service.read_line())).take_while(|line| line != "utc").collect();
        service.write(answer(&inbox));
        (fields[0].to_owned(), content, http.read("POST").expect("it is answered"))
    };
    let (verb, headers, response) = ask("", &|inbox| format!("PUB {inbox} 4\r\nnoon\r\n"));
    assert_eq!((verb.as_str(), headers.len(), response.status, response.text()), ("MSG", 0, 200, "noon"));
    assert_eq!(response.header("content-type"), Some("application/octet-stream"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let block = "NATS/1.0\r\nContent-Type: text/plain\r\nNats-Service-Error-Code: 404\r\nX-A: 1\r\nX-A: 2\r\n\
                 Set-Cookie: a=b\r\nX-Accel-Redirect: /\r\nAccess-Control-Allow-Origin: *\r\nBad Name: x\r\n\r\n";
    let (verb, headers, response) = ask("ce-id: 1\r\nNats-Msg-Id: 7\r\n", &|inbox| {
        // Only the first answer counts.
        format!("HPUB {inbox} {} {}\r\n{block}ok\r\nPUB {inbox} 4\r\nlate\r\n", block.len(), block.len() + 2)
    });
    assert_eq!(
        (verb.as_str(), headers),
        ("HMSG", ["NATS/1.0", "ce-id: 1", "Nats-Msg-Id: 7", ""].map(str::to_owned).to_vec())
    );
    assert_eq!(
        (response.status, response.text(), response.header("content-type")),
        (200, "ok", Some("text/plain"))
    );
    assert_eq!(response.header("nats-service-error-code"), Some("404"));
    let values = response.headers.iter().filter(|(name, _)| name == "x-a").map(|(_, value)| value.as_str());
    assert_eq!(values.collect::<Vec<_>>(), ["1", "2"]);
    for hidden in ["set-cookie", "x-accel-redirect", "access-control-allow-origin", "bad name"] {
        assert!(!response.headers.iter().any(|(name, _)| name == hidden), "{hidden}");
    }
    // An answer may be as long as a message.
    let long = "x".repeat(1 << 20);
    let (_, _, response) = ask("", &|inbox| format!("PUB {inbox} {}\r\n{long}\r\n", long.len()));
    assert_eq!(response.body.len(), long.len());
}

#[test]
fn a_request_without_an_answer_ends_in_time_and_leaves_nothing_behind() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut resp = Client::connect(server.address());
    resp.ask("SUBSCRIBE service");
    let mut http = Http::connect(server.http_address());
    let response = http.ask("POST", "/request/service?timeout=0.05", &[], b"hello");
    assert_eq!((response.problem().as_str(), response.status), ("no-answer", 504));
    assert_eq!(response.json()["detail"], "no answer came within 0.05 seconds");
    let mut other = Client::connect(server.address());
    assert_eq!(other.ask("PUBSUB CHANNELS _INBOX*"), "[]");
    // A client that hangs up ends the wait too.
    let mut http = Http::connect(server.http_address());
    http.write(b"POST /request/service?timeout=300 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let mut has_inbox = || other.ask("PUBSUB CHANNELS _INBOX*") != "[]";
    wait_for(|| has_inbox().then_some(()));
    drop(http);
    wait_for(|| (!has_inbox()).then_some(()));
}
