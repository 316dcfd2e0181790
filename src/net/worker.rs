//! One worker: a thread with a runtime of its own, the connections dealt to it, and its share of expiry.

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use quartet_protocol::resp::{Batch, Output};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tcp::Connection;
use crate::client::{Client, SharedClient};
use crate::command::Services;
use crate::dispatch::Runner;
use crate::random::{Random, machine_seed};
use crate::session::resp::Session;

/// Bytes read at once.  All connections of a worker share one buffer, so that an idle connection has none.
const SCRATCH_LENGTH: usize = 64 * 1024;

/// How often a worker looks for keys whose deadline has passed.  Well under the 100 ms within which their memory
/// is to be given back.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long connections may take to write out what they owe when the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// What a worker's connections share.
pub(super) struct Workshop {
    pub(super) tools: RefCell<Tools>,
    pub(super) services: Arc<Services>,
    pub(super) shutdown: CancellationToken,
}

/// Scratch space and the runner, used by one connection at a time and never across an await.
pub(super) struct Tools {
    pub(super) runner: Runner,
    pub(super) input: Box<[u8]>,
    pub(super) batch: Batch,
    pub(super) output: Output,
}

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) shared: Arc<SharedClient>,
    pub(super) authenticated: bool,
}

/// A worker as the listener sees it.
pub struct Worker {
    arrivals: UnboundedSender<Arrival>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts worker number `slot`.  It stops once `shutdown` is cancelled and its connections are drained.
    ///
    /// # Errors
    /// If the thread or its runtime cannot be made.
    pub fn start(
        services: Arc<Services>,
        slot: usize,
        shutdown: CancellationToken,
    ) -> std::io::Result<Worker> {
        // Not bounded by itself: `maxclients` bounds the connections that exist at all.
        let (arrivals, arriving) = unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counter = Arc::clone(&connections);
        let thread = std::thread::Builder::new().name(format!("worker-{slot}")).spawn(move || {
            let workshop = Rc::new(Workshop {
                tools: RefCell::new(Tools {
                    runner: Runner::new(Arc::clone(&services), slot, Random::with_seed(machine_seed())),
                    input: vec![0; SCRATCH_LENGTH].into(),
                    batch: Batch::new(),
                    output: Output::new(),
                }),
                services,
                shutdown,
            });
            LocalSet::new().block_on(&runtime, work(workshop, arriving, counter));
        })?;
        Ok(Worker { arrivals, connections, thread })
    }

    /// Number of connections it has.
    pub(super) fn load(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Hands it a connection.
    pub(super) fn deal(&self, arrival: Arrival) {
        self.connections.fetch_add(1, Relaxed);
        if let Err(refused) = self.arrivals.send(arrival) {
            // The worker has ended, which happens only while the server stops.
            tracing::debug!(client = refused.0.shared.id, "connection came too late");
        }
    }

    /// Waits for it to end.
    pub fn join(self) {
        drop(self.arrivals);
        if self.thread.join().is_err() {
            tracing::error!("a worker ended by a panic");
        }
    }
}

async fn work(workshop: Rc<Workshop>, mut arriving: UnboundedReceiver<Arrival>, counter: Arc<AtomicUsize>) {
    let connections = TaskTracker::new();
    let expiry = tokio::task::spawn_local(expire(Rc::clone(&workshop)));
    loop {
        tokio::select! {
            arrival = arriving.recv() => match arrival {
                Some(arrival) => welcome(&workshop, &connections, arrival, &counter),
                None => break,
            },
            () = workshop.shutdown.cancelled() => break,
        }
    }
    connections.close();
    if tokio::time::timeout(DRAIN_TIME_MAX, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "ending with connections that did not take their replies"
        );
    }
    expiry.abort();
}

fn welcome(workshop: &Rc<Workshop>, connections: &TaskTracker, arrival: Arrival, counter: &Arc<AtomicUsize>) {
    let id = arrival.shared.id;
    let stream = match tokio::net::TcpStream::from_std(arrival.stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(client = id, %error, "cannot serve a connection");
            workshop.services.clients.disconnect(id);
            counter.fetch_sub(1, Relaxed);
            return;
        }
    };
    let session = Session::new(Client::new(arrival.shared, arrival.authenticated));
    let connection = Connection::new(stream, session, Rc::clone(workshop));
    let counter = Arc::clone(counter);
    connections.spawn_local(async move {
        connection.await;
        counter.fetch_sub(1, Relaxed);
    });
}

/// Gives the memory of expired keys back, and of those beyond the memory limit; goes on at once while there is more
/// to do than one step may take.
async fn expire(workshop: Rc<Workshop>) {
    loop {
        let removed = workshop.tools.borrow_mut().runner.expire();
        let over_limit = workshop.tools.borrow_mut().runner.evict();
        if removed == 0 && !over_limit {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}
