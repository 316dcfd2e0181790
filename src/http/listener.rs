//! Takes HTTP connections in and deals them to the least loaded thread, where they stay.

use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::thread::{Accepted, Thread};
use crate::command::Services;
use crate::http::endpoint::{Problem, problems};
use crate::log_queue::RepeatLimit;

/// How long to wait before accepting again after an error, for example "too many open files".
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown`.
pub async fn accept(
    listener: TcpListener,
    services: Arc<Services>,
    threads: Arc<Vec<Thread>>,
    shutdown: CancellationToken,
) {
    let mut failures = RepeatLimit::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Err(error) = admit(stream, peer, &services, &threads).await {
                        tracing::debug!(%peer, %error, "a connection was lost before it was served");
                    }
                }
                Err(error) => {
                    if let Some(more) = failures.admit(services.clock.now()) {
                        tracing::warn!(%error, more, "cannot accept an HTTP connection");
                    }
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
            () = shutdown.cancelled() => return,
        }
    }
}

async fn admit(
    mut stream: TcpStream,
    peer: std::net::SocketAddr,
    services: &Arc<Services>,
    threads: &[Thread],
) -> std::io::Result<()> {
    let most = services.settings.current().http_connection_limit;
    if !services.metrics.requests.admit(most) {
        return stream.write_all(full().as_bytes()).await;
    }
    let activity = Activity::new(Arc::clone(services));
    stream.set_nodelay(true)?;
    let keepalive = services.settings.current().tcp_keepalive;
    if keepalive > 0 {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(keepalive.into()));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    }
    let thread = threads.iter().min_by_key(|thread| thread.load()).expect("a door has at least one thread");
    thread.deal(Accepted { stream: stream.into_std()?, peer, activity });
    Ok(())
}

/// The response to a client beyond the limit of connections.  It fits into any socket's buffer.
fn full() -> String {
    let problem = Problem::new(problems::UNAVAILABLE).detail("the limit of connections is reached");
    let body = problem.document();
    format!(
        "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{body}",
        problem.status(),
        body.len(),
    )
}
