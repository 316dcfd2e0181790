//! Listens for connections of one protocol and deals them to the workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::dealer::{Accepted, Dealer};
use crate::command::Services;
use crate::log_queue::RepeatLimit;
use crate::session::{Protocol, Refused};

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
    dealer: Dealer,
    shutdown: CancellationToken,
) {
    let mut failures = RepeatLimit::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => admit(stream, address, protocol, &services, &dealer).await,
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
    dealer: &Dealer,
) {
    let settings = services.settings.current();
    let (has_password, is_protected, most) =
        (protocol.needs_password(&settings), settings.protected_mode, protocol.connections_max(&settings));
    drop(settings);
    // A connection without addresses has ended already.
    let Ok(own) = stream.local_addr() else { return };
    let refused = if is_protected && !has_password && !is_on_this_machine(address, own) {
        Some(Refused::Protected)
    } else {
        (protocol.connections(&services.clients) >= most).then_some(Refused::Full)
    };
    if let Some(refused) = refused {
        services.clients.note_rejected(protocol.door(), address, refused.reason(), services.clock.now());
        let reason = protocol.refusal(refused, services, (address, own));
        // The reason fits any socket's buffer; a client that has gone does not need it.
        let _ = stream.write_all(&reason).await;
        return;
    }
    if let Err(error) = deal(stream, address, protocol, services, dealer, !has_password) {
        tracing::debug!(%error, "a connection was lost before it was served");
    }
}

fn deal(
    stream: TcpStream,
    address: SocketAddr,
    protocol: Protocol,
    services: &Services,
    dealer: &Dealer,
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
    let shared =
        services.clients.connect(protocol.door(), address, local_address, services.clock.now().millis());
    dealer.deal(Accepted { stream, input: Bytes::new(), protocol, shared, authenticated });
    Ok(())
}
