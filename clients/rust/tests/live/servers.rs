//! Server processes.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use quartet_client::Quartet;
use redis::{FromRedisValue, Value};

use crate::relay::Target;

/// Of a lease that a test outlives and must not lose, though renewal comes late on a busy machine.
pub(crate) const KEPT: Duration = Duration::from_secs(5);

/// Of a lease that a test loses.
pub(crate) const SHORT: Duration = Duration::from_millis(1200);

/// Looks at a condition before a test gives up.
const LOOKS_MAX: usize = 6000;

/// Waits until a condition holds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about");
}

/// A server of its own.
pub(crate) struct Server {
    folder: PathBuf,
    options: Vec<String>,
    child: Child,
    /// Where it listens, which is another port each time it starts.
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn start(options: &[&str]) -> Server {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("quartet-client-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = Server::spawn(&folder, &options);
        let mut server = Server { folder, options, child, port: 0 };
        server.wait().await;
        server
    }

    fn spawn(folder: &std::path::Path, options: &[String]) -> Child {
        let program = std::env::var("QUARTET").unwrap_or_else(|_| "quartet".to_owned());
        let ports = folder.join("ports.json");
        let _ = fs::remove_file(&ports);
        Command::new(program)
            .args(["--http-port", "off", "--broker-port", "off", "--dir", "", "--port", "0"])
            .arg("--ports-file")
            .arg(&ports)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("QUARTET names the server's program")
    }

    async fn wait(&mut self) {
        let ports = self.folder.join("ports.json");
        eventually(async || ports.exists()).await;
        let text = fs::read_to_string(ports).unwrap();
        let resp = text.split("\"resp\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        self.port = resp.rsplit(':').next().unwrap().parse().unwrap();
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = Server::spawn(&self.folder, &self.options);
        self.wait().await;
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn target(&self) -> Target {
        Target::Port(self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn quartet(&self) -> Quartet {
        Quartet::open(self.url()).unwrap()
    }

    /// The reply of the server to any command.
    pub(crate) async fn command<T: FromRedisValue>(&self, arguments: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (name, rest) = arguments.split_first().unwrap();
        redis::cmd(name).arg(rest).query_async(&mut connection).await.unwrap()
    }

    /// For how long the resource is held; zero if it is not.
    pub(crate) async fn held(&self, resource: &str) -> Duration {
        let info: Value = self.command(&["LOCK.INFO", resource]).await;
        let Some(Value::Array(holders)) = field(&info, "holders") else { return Duration::ZERO };
        let Some(Value::Int(held)) = holders.first().and_then(|holder| field(holder, "held_ms")) else {
            return Duration::ZERO;
        };
        Duration::from_millis(u64::try_from(*held).unwrap() + 1)
    }

    /// How many requests wait for the resource.
    pub(crate) async fn waits(&self, resource: &str) -> usize {
        self.command::<Vec<Value>>(&["LOCK.WAITS", "RESOURCE", resource]).await.len()
    }
}

/// What stands behind this name in a list of names and values.
fn field<'a>(reply: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Array(values) = reply else { return None };
    let is_name = |value: &Value| *value == Value::BulkString(name.as_bytes().to_vec());
    values.chunks(2).find(|pair| is_name(&pair[0])).map(|pair| &pair[1])
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
