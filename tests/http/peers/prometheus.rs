//! Prometheus, which scrapes the server and is asked what it has.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use super::server;
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::{Folder, wait_for, with_output_in};

/// A Prometheus that is ended when it is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: Folder,
}

impl Prometheus {
    /// Starts it with one target.
    fn scraping(program: &Path, target: SocketAddr) -> Prometheus {
        let folder = Folder::new();
        let configuration = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: quartet\n    static_configs:\n      - \
             targets: [\"{target}\"]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), configuration).expect("the folder can be written");
        let mut child = with_output_in(&folder, Command::new(program))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .spawn()
            .expect("the peer was found");
        let address = wait_for(|| {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                panic!("prometheus ended: {status}\n{}", folder.stderr());
            }
            let log = folder.stderr();
            let line =
                log.lines().find(|line| line.contains("Listening on") && line.ends_with(char::is_numeric))?;
            line.rsplit('=').next()?.parse().ok()
        });
        Prometheus { child, address, _folder: folder }
    }

    /// The value of a series, once it has one.
    fn wait_for_value(&self, query: &str) -> String {
        let path = format!(
            "/api/v1/query?query={}",
            query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22")
        );
        wait_for(|| {
            let answer = Http::connect(self.address).get(&path);
            // Until it has read its database it answers that it is not ready.
            let found = (answer.status == 200).then(|| answer.json())?;
            found["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_scrape_finds_everything() {
    let Some(program) = peers::peer("prometheus") else { return };
    let server = server();
    let mut client = Client::connect(server.address());
    client.ask("SET key value");
    client.ask("GET key");
    let prometheus = Prometheus::scraping(&program, server.http_address());
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
    let ended = crate::support::program::run_with_input(command, &page).success();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
