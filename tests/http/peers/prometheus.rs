//! Prometheus, which scrapes the server and is asked what it has.

use std::process::Command;

use super::server;
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::run_with_input;
use crate::support::prometheus::Prometheus;

#[test]
fn a_scrape_finds_everything() {
    let Some(program) = peers::peer("prometheus") else { return };
    let server = server();
    let mut client = Client::connect(server.address());
    client.ask("SET key value");
    client.ask("GET key");
    let configuration = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: quartet, static_configs: [{{targets: ['{}']}}]}}]\n",
        server.http_address()
    );
    let prometheus = Prometheus::start(&program, Folder::new(), &configuration);
    assert_eq!(prometheus.wait_for_value("up"), "1");
    assert_eq!(prometheus.wait_for_value(r#"quartet_commands_total{command="get"}"#), "1");
    assert_eq!(prometheus.wait_for_value("quartet_cache_hits_total"), "1");
    // A histogram is one that Prometheus can take quantiles of.
    let scrapes = r#"quartet_http_request_seconds_count{route="/metrics"}"#;
    assert!(prometheus.wait_for_value(scrapes).parse::<u64>().is_ok_and(|count| count >= 1));
}

#[test]
fn its_linter_finds_nothing() {
    let Some(program) = peers::peer("promtool") else { return };
    let server = server();
    let mut http = Http::connect(server.http_address());
    Client::connect(server.address()).ask("SET key value");
    http.get("/cache/key");
    let page = http.get("/metrics").body;
    let mut command = Command::new(program);
    command.args(["check", "metrics"]);
    let ended = run_with_input(command, &page).success();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
