//! One thread of the HTTP door: a runtime of its own and the connections dealt to it.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use axum::http::Version;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Peer;
use super::activity::{ActiveStream, Activity};
use super::bodies::{RequestBody, ResponseBody};
use super::door::{Caller, Door};
use super::flight::Charge;
use super::streams::Streams;
use crate::allocator::Purge;
use crate::command::Services;
use crate::http::endpoint::Context;
use crate::http::endpoint::runners::Runners;
use crate::net::dealer::Dealer;
use crate::random::{Random, machine_seed};

/// How long open requests may take when the server stops.  Scripts are stopped a second before, so that their clients learn that.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(6);

/// Bytes of one HTTP/1.1 request's head, and of the bytes that are read ahead.
const HEAD_LENGTH_MAX: usize = 64 * 1024;

/// Bytes of the headers of one HTTP/2 request.
const HEADER_LIST_LENGTH_MAX: u32 = 16 * 1024;

/// Bytes of one HTTP/2 stream's response that are buffered before the client has room for them.
const SEND_BUFFER_LENGTH: usize = 64 * 1024;

/// HTTP/2 streams that a client may reset before they are accepted; beyond that its connection ends.
const RESET_STREAMS_MAX: usize = 20;

/// HTTP/2 streams that may be reset for errors of the client; beyond that its connection ends.
const LOCAL_RESETS_MAX: usize = 256;

/// Requests that one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 256;

/// How often a silent HTTP/2 connection is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How often the thread looks whether to give memory back.
const PURGE_INTERVAL: Duration = Duration::from_millis(200);

/// A connection on its way to its thread.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) activity: Activity,
}

/// A thread as the listeners see it.
pub struct Thread {
    queue: UnboundedSender<Accepted>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// The state that a thread's connections share.
struct ThreadState {
    door: Door,
    builder: Builder<Streams>,
    shutdown: CancellationToken,
}

impl Thread {
    /// Starts the thread that has `slot` at the gate.  Connections that become WebSockets go to `dealer`, and what
    /// may take long to the runners.  The thread stops once `shutdown` is cancelled and its requests are answered.
    ///
    /// # Errors
    /// If the thread or its runtime cannot be made.
    pub fn start(
        services: Arc<Services>,
        slot: usize,
        (dealer, runners): (Dealer, Option<Arc<Runners>>),
        shutdown: CancellationToken,
    ) -> std::io::Result<Thread> {
        // The limit on connections bounds this channel.
        let (queue, arriving) = unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("http-{slot}")).spawn(move || {
            let settings = services.settings.current();
            let builder = builder(Arc::clone(&services));
            let context =
                Context::new(services, slot, Random::with_seed(machine_seed()), shutdown.clone(), runners);
            let state = ThreadState { door: Door::new(context, &settings, Some(dealer)), builder, shutdown };
            runtime.block_on(work(Arc::new(state), arriving, counter));
        })?;
        Ok(Thread { queue, connections, thread })
    }

    /// Number of connections it has.
    pub(super) fn load(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Hands it a connection.
    pub(super) fn deal(&self, accepted: Accepted) {
        self.connections.fetch_add(1, Relaxed);
        if let Err(refused) = self.queue.send(accepted) {
            // The thread has ended, which happens only while the server stops.
            tracing::debug!(peer = %refused.0.peer, "connection came too late");
        }
    }

    /// Waits for it to end.
    pub fn join(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("an HTTP thread ended by a panic");
        }
    }
}

/// The settings of the protocol.  A connection's [`Activity`] watches its times, not hyper: that costs less than a timer per
/// request, and covers a client that never says which version it speaks.
fn builder(services: Arc<Services>) -> Builder<Streams> {
    let mut builder = Builder::new(Streams::new(services));
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_LENGTH_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_LENGTH_MAX)
        .max_send_buf_size(SEND_BUFFER_LENGTH)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

async fn work(state: Arc<ThreadState>, mut arriving: UnboundedReceiver<Accepted>, counter: Arc<AtomicUsize>) {
    let connections = TaskTracker::new();
    let mut purge = Purge::default();
    let mut purge_interval = tokio::time::interval(PURGE_INTERVAL);
    loop {
        let accepted = tokio::select! {
            accepted = arriving.recv() => accepted,
            () = state.shutdown.cancelled() => break,
            _ = purge_interval.tick() => {
                purge.follow();
                continue;
            }
        };
        let Some(accepted) = accepted else { break };
        let (state, counter) = (Arc::clone(&state), Arc::clone(&counter));
        connections.spawn(async move {
            converse(&state, accepted).await;
            counter.fetch_sub(1, Relaxed);
        });
    }
    connections.close();
    if tokio::time::timeout(DRAIN_TIME_MAX, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "ending with HTTP connections that did not end");
    }
}

/// Serves one connection to its end.
async fn converse(state: &ThreadState, accepted: Accepted) {
    let Accepted { stream, peer, activity } = accepted;
    let stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "cannot serve a connection"),
    };
    let own = match stream.local_addr() {
        Ok(own) => own,
        Err(error) => return tracing::debug!(%peer, %error, "a connection was lost before it was served"),
    };
    let activity = Arc::new(activity);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        activity.begin(request.version() == Version::HTTP_2);
        let (door, mut under_way) = (state.door.clone(), UnderWay::new(Arc::clone(&activity)));
        let request = request.map(|body| under_way.receive(body));
        let caller = Caller { peer: Peer::new(peer, own), responses: Arc::clone(&activity.responses) };
        async move {
            let responses = Arc::clone(&caller.responses);
            let response = door.answer(request, caller).await;
            under_way.release();
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, &responses, under_way)))
        }
    });
    let io = TokioIo::new(ActiveStream::new(stream, Arc::clone(&activity)));
    let mut connection = std::pin::pin!(state.builder.serve_connection_with_upgrades(io, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        reason = activity.overdue() => {
            tracing::debug!(%peer, reason, "closing an HTTP connection");
            return;
        }
        () = state.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error = %error, "an HTTP connection ended");
    }
}

/// A request until its response has gone to the connection, even if the client does not wait for its end.
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    /// The charge of its body.
    charge: Option<Arc<Charge>>,
}

impl UnderWay {
    fn new(activity: Arc<Activity>) -> UnderWay {
        UnderWay { activity, charge: None }
    }

    /// The request's body as endpoints get it.
    fn receive(&mut self, body: Incoming) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let body = RequestBody::new(body, &self.activity.requests);
        self.charge = Some(body.charge());
        Body::new(body)
    }

    /// Nobody needs the request's body any more.
    fn release(&mut self) {
        self.charge = None;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.end();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io::Write;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock::Clock;
    use crate::lock_order::{Mutex, rank};
    use crate::server;
    use crate::settings::Settings;

    /// Tells when it is dropped.
    struct Waiting(Option<oneshot::Sender<()>>);

    impl Drop for Waiting {
        fn drop(&mut self) {
            if let Some(gone) = self.0.take() {
                // The test has ended if nobody listens.
                let _ = gone.send(());
            }
        }
    }

    /// Locks are granted to waiters, so a client that has gone must not wait any more.
    #[tokio::test]
    async fn a_request_that_waits_ends_with_its_client() {
        let services = Arc::new(server::services(Settings::default(), Clock::machine(), 7));
        let shutdown = CancellationToken::new();
        let context = Context::new(Arc::clone(&services), 0, Random::with_seed(7), shutdown.clone(), None);
        let (began, has_begun) = oneshot::channel();
        let (gone, is_gone) = oneshot::channel();
        let signals = Arc::new(Mutex::<_, { rank::ENDPOINT_RANDOM }>::new(Some((began, gone))));
        let wait = async move || {
            let (began, gone) = signals.lock().take().expect("it is asked once");
            let _waiting = Waiting(Some(gone));
            began.send(()).expect("the test waits for it");
            pending::<()>().await;
        };
        let door = Door::before(Router::new().route("/wait", get(wait)), context, &Settings::default(), None);
        let state = ThreadState { door, builder: builder(Arc::clone(&services)), shutdown };

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("it has a connection");
        stream.set_nonblocking(true).expect("the socket is open");
        assert!(services.metrics.requests.admit(1));
        let accepted = Accepted { stream, peer, activity: Activity::new(services) };
        client.write_all(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is read");
        let leave = async move {
            has_begun.await.expect("the endpoint runs");
            drop(client);
            is_gone.await.expect("the endpoint ends");
        };
        tokio::join!(converse(&state, accepted), leave);
    }

    #[tokio::test]
    async fn a_waiter_gets_the_answer_or_is_told_of_the_end() {
        let services = Arc::new(server::services(Settings::default(), Clock::machine(), 7));
        let shutdown = CancellationToken::new();
        let context = Context::new(services, 0, Random::with_seed(7), shutdown.clone(), None);
        shutdown.cancel();
        assert_eq!(context.wait_for(ready(7)).await.map_err(|problem| problem.status()), Ok(7));
        let refused = context.wait_for(pending::<u8>()).await.map_err(|problem| problem.status());
        assert_eq!(refused, Err(StatusCode::SERVICE_UNAVAILABLE));
    }
}
