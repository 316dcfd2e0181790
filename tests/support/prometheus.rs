//! A Prometheus that scrapes servers under test, and what it answers to queries.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use super::http::Http;
use super::process::{Folder, wait_for, with_output_in};

/// A Prometheus that is ended when it is dropped.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: Folder,
}

impl Prometheus {
    /// Starts the one at `program` with this configuration, in a folder that the configuration may name things of.
    pub(crate) fn start(program: &Path, folder: Folder, configuration: &str) -> Prometheus {
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

    /// The values that an expression has at present, or nothing before the server is ready.  One that is not valid
    /// fails the test.
    pub(crate) fn values(&self, expression: &str) -> Option<Vec<String>> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in expression.bytes() {
            write!(path, "%{byte:02X}").expect("a string takes everything");
        }
        let answer = Http::connect(self.address).get(&path);
        assert_ne!(answer.status, 400, "{expression}: {}", answer.text());
        // Until it has read its database it answers that it is not ready.
        let found = (answer.status == 200).then(|| answer.json())?;
        let series = found["data"]["result"].as_array()?;
        Some(series.iter().filter_map(|one| one["value"][1].as_str().map(str::to_owned)).collect())
    }

    /// The value of a series, once it has one.
    pub(crate) fn wait_for_value(&self, expression: &str) -> String {
        wait_for(|| self.values(expression)?.into_iter().next())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
