//! The server is killed under load, at any moment, and started again on the same folder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quartet::random::Random;
use rustix::process::{Signal, kill_process};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, quartet, wait_for};

const CLIENTS: usize = 8;

/// Resources of each client alone, besides the one that all clients want.
const RESOURCES: usize = 20;

/// So long that no lease ends by itself.
const TTL: &str = "600000";

/// A client, and what it was told.
struct Worker {
    number: usize,
    random: Random,
    /// The resources that it holds for certain, with their fences: they were granted, and no request was made since.
    held: BTreeMap<String, u64>,
    /// Its own resources that nobody holds for certain.
    free: Vec<String>,
}

impl Worker {
    fn owner(&self) -> String {
        format!("owner-{}", self.number)
    }

    /// Acquires and releases until the server is gone.
    fn work(&mut self, mut client: Client, heard: &AtomicUsize, before: u64, highest: &AtomicU64) {
        loop {
            let resource = match self.random.below(RESOURCES + 1) {
                RESOURCES => "wanted-by-all".to_owned(),
                own => format!("own-{}-{own}", self.number),
            };
            self.free.retain(|other| *other != resource);
            let owner = self.owner();
            let reply = if self.held.remove(&resource).is_some() {
                client.write(format!("LOCK.RELEASE {resource} {owner}\r\n").as_bytes());
                client.read_text()
            } else {
                client.write(format!("LOCK.ACQUIRE {resource} {owner} TTL {TTL}\r\n").as_bytes());
                client.read_text()
            };
            let Some(reply) = reply else { return };
            heard.fetch_add(1, Ordering::Relaxed);
            if let Some(grant) = reply.strip_prefix("[fence, ") {
                let fence = grant.split(',').next().and_then(|fence| fence.parse().ok());
                let fence: u64 = fence.expect("a fence is a number");
                assert!(
                    fence > before,
                    "the fence {fence} is not after {before}, which was given before the kill"
                );
                highest.fetch_max(fence, Ordering::Relaxed);
                self.held.insert(resource, fence);
            } else if reply == "0" {
                if resource.starts_with("own") {
                    self.free.push(resource);
                }
            } else {
                // Only the shared resource can be held by another client; a retry after a kill may meet its own grant.
                assert_eq!(reply, "(nil)", "{resource}");
            }
        }
    }

    /// Checks that a new server knows what this client was told.
    fn check(&mut self, client: &mut Client) {
        for (resource, fence) in &self.held {
            let report = client.ask(&format!("LOCK.INFO {resource}"));
            let holder = format!("[[owner, {}, mode, exclusive, fence, {fence},", self.owner());
            assert!(report.contains(&holder), "{resource} was granted under {fence}, and now: {report}");
        }
        for resource in &self.free {
            let report = client.ask(&format!("LOCK.INFO {resource}"));
            assert_eq!(report, "(nil)", "{resource} was given back");
        }
        // The last request, which was not answered, may have been done or not.
        for own in 0..RESOURCES {
            let resource = format!("own-{}-{own}", self.number);
            if !self.held.contains_key(&resource) && !self.free.contains(&resource) {
                client.ask(&format!("LOCK.RELEASE {resource} {}", self.owner()));
            }
        }
        if !self.held.contains_key("wanted-by-all") {
            client.ask(&format!("LOCK.RELEASE wanted-by-all {}", self.owner()));
        }
    }
}

#[test]
fn grants_outlive_kills_under_load() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let data = data.to_str().expect("the temporary folder has a plain name");
    let arguments = ["--dir", data, "--lock-durability", "full", "--threads", "2"];
    let new_worker = |number| Worker {
        number,
        random: Random::with_seed(number as u64),
        held: BTreeMap::new(),
        free: Vec::new(),
    };
    let mut workers: Vec<Worker> = (0..CLIENTS).map(new_worker).collect();
    let highest = AtomicU64::new(0);
    for round in 1..=4 {
        let server = Server::quartet(&arguments);
        let mut client = Client::connect(server.address());
        let holders = workers.iter().filter(|worker| worker.held.contains_key("wanted-by-all")).count();
        assert!(holders <= 1, "{holders} hold a resource exclusively");
        workers.iter_mut().for_each(|worker| worker.check(&mut client));
        if round > 1 {
            // The journal of the round before is there; in the first it is made for the first lock.
            let report = client.ask("INFO persistence");
            assert!(report.contains("locks_journal_status:ok"), "{report}");
        }
        let (heard, before) = (AtomicUsize::new(0), highest.load(Ordering::Relaxed));
        std::thread::scope(|scope| {
            let spawn = |worker| {
                let client = Client::connect(server.address());
                let (heard, highest) = (&heard, &highest);
                scope.spawn(move || Worker::work(worker, client, heard, before, highest))
            };
            let threads: Vec<_> = workers.iter_mut().map(spawn).collect();
            // A thread that ends has found a fault.
            wait_for(|| {
                let is_enough = heard.load(Ordering::Relaxed) >= 150 * round;
                (is_enough || threads.iter().any(|thread| thread.is_finished())).then_some(())
            });
            kill_process(server.process(), Signal::KILL).expect("the server runs");
        });
    }
    assert!(
        workers.iter().any(|worker| !worker.held.is_empty()),
        "something was held when the server was killed"
    );
}

#[test]
fn a_session_opened_over_http_outlives_a_kill_with_its_lock() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let arguments =
        ["--dir", data.to_str().expect("the temporary folder has a plain name"), "--http-port", "0"];
    let server = Server::quartet(&arguments);
    assert!(!data.join("journal").exists(), "nothing is kept before there is a lock");
    let mut http = Http::connect(server.http_address());
    let opened = http.ask("POST", "/sessions", &[], br#"{"ttl": 600}"#).json();
    let session = opened["session"].as_str().expect("it has a name").to_owned();
    let body = serde_json::json!({"resource": "kept", "session": session}).to_string();
    let lock = http.ask("POST", "/lock", &[], body.as_bytes()).json();
    kill_process(server.process(), Signal::KILL).expect("the server runs");
    drop(server);

    let server = Server::quartet(&arguments);
    let mut http = Http::connect(server.http_address());
    let kept = http.get(&format!("/sessions/{session}")).json();
    assert_eq!(kept["resources"], serde_json::json!(["kept"]), "{kept}");
    let path = format!("/lock/{}", lock["lock_id"].as_str().expect("it has an id"));
    assert_eq!(http.ask("DELETE", &path, &[], b"").status, 204);
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let data = data.to_str().expect("the temporary folder has a plain name");
    let first = Server::quartet(&["--dir", data, "--http-port", "0"]);
    Http::connect(first.http_address()).ask("POST", "/lock", &[], br#"{"resource": "r", "ttl": 30}"#);
    let output = Folder::new();
    let mut second = quartet(&output)
        .args(["--port", "0", "--broker-port", "off", "--http-port", "off", "--dir", data])
        .spawn()
        .expect("the binary was built for this test");
    assert!(!second.wait().expect("it is ours to wait for").success());
    let expected = format!(
        "quartet: another server uses {data}: stop that one, or choose another directory with --dir\n"
    );
    assert_eq!(output.stderr(), expected);
}

/// Where in a segment the first record has its payload: behind the segment's head and the record's.
const IN_THE_FIRST_RECORD: usize = 36 + 8;

#[test]
fn damage_stops_the_start_in_one_line() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let arguments =
        ["--dir", data.to_str().expect("the temporary folder has a plain name"), "--http-port", "0"];
    let mut server = Server::quartet(&arguments);
    let mut http = Http::connect(server.http_address());
    http.ask("POST", "/lock", &[], br#"{"resource": "r", "ttl": 30}"#);
    kill_process(server.process(), Signal::TERM).expect("the server runs");
    assert!(server.wait().success());
    let segment = data.join("journal/000000000001.segment");
    let mut bytes = std::fs::read(&segment).expect("it was written");
    bytes[IN_THE_FIRST_RECORD] ^= 1;
    std::fs::write(&segment, bytes).expect("the folder can be written");
    let output = Folder::new();
    let mut again = quartet(&output)
        .args(["--port", "0", "--broker-port", "off", "--http-port", "off", "--dir", arguments[1]])
        .spawn()
        .expect("the binary was built for this test");
    assert!(!again.wait().expect("it is ours to wait for").success());
    let expected =
        format!("quartet: {} is damaged at byte 36: the checksum of a record is wrong; ", segment.display());
    assert!(output.stderr().starts_with(&expected), "{}", output.stderr());
    assert_eq!(output.stderr().lines().count(), 1);
}
