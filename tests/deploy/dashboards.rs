//! Every expression of the dashboards and alerts, evaluated by a Prometheus that has scraped a loaded server.

use std::fs;

use serde_json::Value;

use super::{path, read};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::{Folder, Server, wait_for};
use crate::support::prometheus::Prometheus;

const PASSWORD: &str = "sesame";

/// Reads and writes of the cache in each round of the load, so that the members of the adaptive policy are compared.
const READS: usize = 2_000;

/// Other commands of each kind in a round: quick ones are timed now and then only.
const COMMANDS: usize = 100;

/// What Grafana puts in the place of its variables.
const IN_PLACE: &[(&str, &str)] = &[("$__rate_interval", "30s"), ("$instance", ".*")];

/// An expression, and where it stands.
struct Shown {
    place: String,
    expression: String,
}

fn shown_on_dashboards() -> Vec<Shown> {
    let mut shown = Vec::new();
    for file in fs::read_dir(path("deploy/grafana/dashboards")).expect("the folder is there") {
        let file = file.expect("the folder can be read").path();
        let text = fs::read(&file).expect("the file can be read");
        let dashboard: Value = serde_json::from_slice(&text).expect("dashboards are JSON");
        for panel in dashboard["panels"].as_array().expect("a dashboard has panels") {
            for target in panel["targets"].as_array().expect("a panel has targets") {
                let mut expression = target["expr"].as_str().expect("a target has an expression").to_owned();
                for (variable, value) in IN_PLACE {
                    expression = expression.replace(variable, value);
                }
                let place = format!("{}, {}", dashboard["title"], panel["title"]);
                shown.push(Shown { place, expression });
            }
        }
    }
    shown
}

/// What the alerts compare with their thresholds.
fn watched_by_alerts() -> Vec<Shown> {
    let text = read("deploy/prometheus/alerts.yml");
    let mut watched = Vec::new();
    let mut place = "";
    for line in text.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            place = alert;
        } else if let Some(rule) = line.strip_prefix("expr: ") {
            let (expression, _) = rule.rsplit_once([' ']).expect("it ends with a threshold");
            let (expression, comparison) = expression.rsplit_once(' ').expect("it compares");
            assert!([">", "==", "<"].contains(&comparison), "{place}: {rule}");
            watched.push(Shown { place: place.to_owned(), expression: expression.to_owned() });
        }
    }
    watched
}

/// Clients of a server, who do each kind of thing that there are figures of.
struct Load {
    resp: Client,
    subscriber: Client,
    http: Http,
}

impl Load {
    fn start(server: &Server) -> Load {
        let mut load = Load {
            resp: Client::connect(server.address()),
            subscriber: Client::connect(server.address()),
            http: Http::connect(server.http_address()),
        };
        let auth = format!("AUTH {PASSWORD}");
        assert_eq!(load.resp.ask(&auth), "OK");
        assert_eq!(load.subscriber.ask(&auth), "OK");
        load.subscriber.ask("SUBSCRIBE news");
        for line in ["CONFIG SET maxmemory 100mb maxmemory-policy allkeys-adaptive", "SET key value"] {
            assert_eq!(load.resp.ask(line), "OK");
        }
        load.ask(
            "PUT",
            "/policies/few",
            r#"{"limits": [{"algorithm": "fixed", "limit": 1, "period_ms": 3600000}]}"#,
            204,
        );
        load.ask("PUT", "/streams/ORDERS", r#"{"subjects": ["orders.>"]}"#, 201);
        load.ask("PUT", "/streams/ORDERS/consumers/packing", "", 201);
        load.resp.ask("CONFIG SET maxmemory-policy noeviction maxmemory 1");
        assert!(load.resp.ask("SET refused value").starts_with("-OOM"));
        load.ask("PUT", "/cache/refused", r#"{"value": "text"}"#, 507);
        load.resp.ask("CONFIG SET maxmemory 100mb maxmemory-policy allkeys-adaptive");
        load
    }

    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: &str, status: u16) {
        let authorization = format!("Bearer {PASSWORD}");
        let answer = self.http.ask(method, path, &[("authorization", &authorization)], body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }

    /// Sends lines in one go, and waits for as many answers.
    fn pipeline(&mut self, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.collect();
        self.resp.write(lines.concat().as_bytes());
        for _ in &lines {
            self.resp.read_text().expect("each line is answered");
        }
    }

    fn round(&mut self) {
        self.pipeline((0..READS).map(|number| {
            let key = number * number % 997;
            if number % 4 == 0 {
                format!("SET key:{key} text EX 1000\r\n")
            } else {
                format!("GET key:{key}\r\n")
            }
        }));
        for line in [
            "RL.CHECK user POLICY few\r\n",
            "LOCK.ACQUIRE printer alice TTL 60000\r\n",
            "LOCK.RELEASE printer alice\r\n",
            "PUBLISH news text\r\n",
            "STREAM.PUBLISH orders.new text\r\n",
            "ECHO text\r\n",
            "EVAL 'return 1' 0\r\n",
            "INCR not:a:number{x}\r\n",
        ] {
            self.pipeline((0..COMMANDS).map(|_| line.to_owned()));
        }
        for _ in 0..COMMANDS {
            self.subscriber.read_text().expect("what is published arrives");
        }
        for (method, path, body, status) in [
            ("GET", "/cache/absent", "", 404),
            ("GET", "/cache/key:1", "", 200),
            ("POST", "/check", r#"{"checks": [{"key": "ann"}], "peek": true}"#, 200),
            ("POST", "/check", r#"{"checks": [{"key": "bob", "policy": "absent"}]}"#, 404),
            ("POST", "/lock", r#"{"resource": "press", "owner": "ann", "ttl": 60, "reentrant": true}"#, 200),
            ("POST", "/lock", r#"{"resource": "press", "owner": "bob", "ttl": 60}"#, 409),
            ("POST", "/publish/news.today", "text", 200),
            ("POST", "/publish/a..b", "text", 400),
            ("GET", "/streams/ABSENT", "", 404),
            ("GET", "/streams/ORDERS", "", 200),
        ] {
            self.ask(method, path, body, status);
        }
    }
}

#[test]
fn no_expression_is_invalid_or_empty() {
    let Some(program) = peers::peer("prometheus") else { return };
    let data = Folder::new();
    let directory = data.path().join("data");
    let server = Server::quartet(&[
        "--http-port",
        "0",
        "--requirepass",
        PASSWORD,
        "--dir",
        directory.to_str().expect("the path is text"),
    ]);
    let folder = Folder::new();
    fs::write(folder.path().join("password"), PASSWORD).expect("the folder was just made");
    fs::write(folder.path().join("alerts.yml"), read("deploy/prometheus/alerts.yml"))
        .expect("the folder was just made");
    // As shipped, but for the place of the server and of the password, and more often.
    let configuration = read("deploy/prometheus/prometheus.yml")
        .replace("quartet:8080", &server.http_address().to_string())
        .replace("/run/secrets/quartet-password", "password")
        .replace("15s", "1s");
    let mut load = Load::start(&server);
    let prometheus = Prometheus::start(&program, folder, &configuration);
    let mut left = shown_on_dashboards();
    left.extend(watched_by_alerts());
    assert!(left.len() > 100, "{}", left.len());
    let mut rounds = 0;
    wait_for(|| {
        load.round();
        rounds += 1;
        left.retain(|shown| {
            let values = prometheus.values(&shown.expression).unwrap_or_default();
            !values.iter().any(|value| value.parse::<f64>().is_ok_and(f64::is_finite))
        });
        let missing = || left.iter().map(|shown| format!("{}: {}", shown.place, shown.expression));
        // Rates need two scrapes, a second apart; a round with its queries takes a good part of one.
        assert!(rounds < 300, "without a value:\n{}", missing().collect::<Vec<_>>().join("\n"));
        left.is_empty().then_some(())
    });
}
