//! A server in this process whose disk and clock the test moves: real sockets, and a sync only when the test lets it go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use quartet::clock::{Clock, Now};
use quartet::command::Services;
use quartet::journal::Writer;
use quartet::lock::{Durability, Totals};
use quartet::net::dealer::Dealer;
use quartet::net::worker::Worker;
use quartet::session::Protocol;
use quartet::settings::Settings;
use quartet::{http, net, server};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::http::Http;
use super::kept_locks;
use super::process::wait_for;
use super::simulated_disk::SimulatedDisk;

/// The server.  It ends when dropped.
pub(crate) struct SlowServer {
    services: Arc<Services>,
    /// Writes and syncs when it is told to.
    pub(crate) writer: Writer,
    pub(crate) disk: SimulatedDisk,
    resp: SocketAddr,
    http: SocketAddr,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl SlowServer {
    /// One whose locks are kept on an empty disk.
    pub(crate) fn start() -> SlowServer {
        let disk = SimulatedDisk::default();
        let now = Now::at(Duration::from_secs(1000), Duration::from_secs(1_700_000_000));
        let settings = Settings { threads: 1, http_threads: 1, dir: None, ..Settings::default() };
        let mut services = server::services(settings, Clock::manual(now), 1);
        let (locks, writer) = kept_locks::open_on(&disk, Durability::Full, now)
            .unwrap_or_else(|error| panic!("the disk is empty: {error}"));
        services.locks = locks;
        let services = Arc::new(services);
        let shutdown = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let (shared, stop) = (Arc::clone(&services), shutdown.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve(shared, stop, |addresses| {
                tell.send(addresses).expect("the test waits for it");
            }));
        });
        let (resp, http) = told.recv().expect("it serves");
        SlowServer { services, writer, disk, resp, http, shutdown, thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.resp)
    }

    pub(crate) fn http(&self) -> Http {
        Http::connect(self.http)
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, millis: u64) {
        self.services.clock.advance(Duration::from_millis(millis));
    }

    /// Has a client send commands, none of which waits for its turn, and waits until they have run.  Their replies come
    /// later, and after them a PONG.
    pub(crate) fn run(&self, client: &mut Client, lines: &[&str]) {
        let before = self.services.metrics.totals().commands;
        lines.iter().chain(&["PING"]).for_each(|line| client.write(format!("{line}\r\n").as_bytes()));
        // The last of them does nothing that matters.
        let after = before + lines.len() as u64 + 1;
        wait_for(|| (self.services.metrics.totals().commands >= after).then_some(()));
    }

    /// Waits until the table of locks is as it should be.
    pub(crate) fn until(&self, mut is_so: impl FnMut(Totals) -> bool) {
        wait_for(|| is_so(self.services.locks.counted().0).then_some(()));
    }

    /// Waits until so many leases have been withdrawn since the start.
    pub(crate) fn until_withdrawn(&self, count: u64) {
        wait_for(|| (self.services.locks.counted().1.withdrawn >= count).then_some(()));
        assert_eq!(self.services.locks.counted().1.withdrawn, count);
    }

    /// Lets the disk sync all records appended until now.
    pub(crate) fn sync(&mut self) {
        self.writer.step();
    }

    /// Waits until no client is connected over RESP, and lets the disk sync.
    pub(crate) fn until_alone(&mut self) {
        wait_for(|| {
            self.writer.step();
            self.services.clients.is_empty().then_some(())
        });
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
        for client in self.services.clients.all() {
            client.outbox.close();
            client.outbox.wake();
        }
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

async fn serve(
    services: Arc<Services>,
    shutdown: CancellationToken,
    tell: impl FnOnce((SocketAddr, SocketAddr)),
) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let [resp, web] = [any; 2].map(|address| net::listener::bind(address, 16).expect("a free port"));
    let address = |listener: &tokio::net::TcpListener| listener.local_addr().expect("it is bound");
    let addresses = (address(&resp), address(&web));
    let worker = Worker::start(Arc::clone(&services), 0, shutdown.clone()).expect("a thread");
    let dealer = Dealer::new(std::slice::from_ref(&worker));
    let thread =
        http::thread::Thread::start(Arc::clone(&services), 1, (dealer.clone(), None), shutdown.clone());
    let threads = Arc::new(vec![thread.expect("a thread")]);
    let mut doors = tokio::task::JoinSet::new();
    doors.spawn(net::listener::accept(resp, Protocol::Resp, Arc::clone(&services), dealer, shutdown.clone()));
    doors.spawn(http::listener::accept(web, services, Arc::clone(&threads), shutdown.clone()));
    tell(addresses);
    while doors.join_next().await.is_some() {}
    Worker::join_all(vec![worker]);
    for thread in Arc::into_inner(threads).unwrap_or_default() {
        thread.join();
    }
}
