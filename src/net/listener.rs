//! Listens for connections of one protocol and deals them to the least loaded worker, where they stay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::worker::{Accepted, Worker};
use crate::command::Services;
use crate::log_queue::RepeatLimit;
use crate::session::Protocol;

/// How long to wait before accepting again after an error such as "too many open files".
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Binds a listening socket.
///
/// # Errors
/// If the address is taken or not this machine's.
pub fn bind(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Whether a client is on this machine: it came over loopback, or from the address that it connected to, as it does if
/// it uses the machine's own address or name.
pub fn is_on_this_machine(client: SocketAddr, own: SocketAddr) -> bool {
    let client = client.ip().to_canonical();
    client.is_loopback() || client == own.ip().to_canonical()
}

/// Accepts connections that speak `protocol` until `shutdown`.
pub async fn accept(
    listener: TcpListener,
    protocol: Protocol,
    services: Arc<Services>,
    workers: Arc<Vec<Worker>>,
    shutdown: CancellationToken,
) {
    let mut failures = RepeatLimit::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => admit(stream, address, protocol, &services, &workers).await,
                Err(error) => {
                    if let Some(more) = failures.admit(services.clock.now()) {
                        tracing::warn!(%error, more, "cannot accept a connection");
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
    address: SocketAddr,
    protocol: Protocol,
    services: &Services,
    workers: &[Worker],
) {
    let settings = services.settings.current();
    let (has_password, is_protected, most) =
        (settings.has_password(), settings.protected_mode, settings.maxclients);
    drop(settings);
    let is_local = stream.local_addr().is_ok_and(|own| is_on_this_machine(address, own));
    if is_protected && !has_password && !is_local {
        return turn_away(&mut stream, protocol.protected(), services).await;
    }
    if services.clients.len() >= most {
        return turn_away(&mut stream, protocol.full(), services).await;
    }
    let Some(worker) = workers.iter().min_by_key(|worker| worker.load()) else { return };
    if let Err(error) = deal(stream, address, protocol, services, worker, !has_password) {
        tracing::debug!(%error, "a connection was lost before it was served");
    }
}

async fn turn_away(stream: &mut TcpStream, reason: &[u8], services: &Services) {
    services.clients.count_rejected();
    // The reason fits any socket's buffer; a client that has gone does not need it.
    let _ = stream.write_all(reason).await;
}

fn deal(
    stream: TcpStream,
    address: SocketAddr,
    protocol: Protocol,
    services: &Services,
    worker: &Worker,
    authenticated: bool,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = services.settings.current().tcp_keepalive;
    if keepalive > 0 {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(keepalive.into()));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    }
    let local_address = stream.local_addr()?;
    let stream = stream.into_std()?;
    let shared = services.clients.connect(address, local_address, services.clock.now().millis());
    worker.deal(Accepted { stream, protocol, shared, authenticated });
    Ok(())
}
