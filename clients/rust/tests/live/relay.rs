//! Relays to servers, which can be cut, speak TLS, or lead to another server.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use quartet_client::Quartet;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::servers::eventually;

/// Where a server listens.
#[derive(Clone)]
pub(crate) enum Target {
    Port(u16),
    /// A Unix socket.
    Path(PathBuf),
}

/// Passes bytes to a server, until it is cut.
pub(crate) struct Relay {
    pub(crate) port: u16,
    target: Arc<Mutex<Target>>,
    accepting: JoinHandle<()>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    is_cut: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) async fn start(target: Target) -> Relay {
        Relay::start_with(target, None).await
    }

    /// The same for clients that speak TLS.
    pub(crate) async fn start_with_tls(target: Target, identity: ServerConfig) -> Relay {
        Relay::start_with(target, Some(TlsAcceptor::from(Arc::new(identity)))).await
    }

    async fn start_with(target: Target, tls: Option<TlsAcceptor>) -> Relay {
        let target = Arc::new(Mutex::new(target));
        let current = Arc::clone(&target);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let is_cut: Arc<AtomicBool> = Arc::default();
        let (passing, cut) = (Arc::clone(&open), Arc::clone(&is_cut));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if cut.load(Ordering::Relaxed) {
                    continue;
                }
                let (target, tls) = (current.lock().unwrap().clone(), tls.clone());
                let pass = tokio::spawn(async move {
                    match tls {
                        Some(tls) => pass(tls.accept(client).await?, target).await,
                        None => pass(client, target).await,
                    }
                });
                passing.lock().unwrap().push(pass.abort_handle());
            }
        });
        Relay { port, target, accepting, open, is_cut }
    }

    pub(crate) fn quartet(&self) -> Quartet {
        Quartet::open(format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// Has it connect to this server for those who connect from now on.
    pub(crate) fn lead_to(&self, target: Target) {
        *self.target.lock().unwrap() = target;
    }

    /// Closes all connections; new ones come through.
    pub(crate) fn close_all(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Waits until somebody has connected since.
    pub(crate) async fn wait_for_another(&self) {
        eventually(async || !self.open.lock().unwrap().is_empty()).await;
    }

    /// Closes all connections and lets no new one through.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        self.close_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Passes bytes to and from a server until one of both closes the connection.
async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, target: Target) -> io::Result<(u64, u64)> {
    match target {
        Target::Port(port) => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            copy_bidirectional(&mut client, &mut server).await
        }
        Target::Path(path) => {
            let mut server = UnixStream::connect(path).await?;
            copy_bidirectional(&mut client, &mut server).await
        }
    }
}
