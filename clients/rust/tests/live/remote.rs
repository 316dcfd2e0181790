//! Servers that ask for a password, or are not Quartet, and both versions of the protocol.

use std::process::{Command, Stdio};

use quartet_client::{Error, Quartet};
use tokio::net::TcpStream;

use crate::servers::{Server, eventually};

async fn works(quartet: &Quartet) {
    quartet.lock("x").acquire().await.unwrap().release().await.unwrap();
    let session =
        quartet.session(std::time::Duration::from_secs(10), std::time::Duration::ZERO).await.unwrap();
    let lease = session.lock("y").acquire().await.unwrap();
    assert!(lease.fencing_token() > 0);
    session.close().await.unwrap();
    let decision = quartet.limiter("default").check_up_to("key", 2).await.unwrap();
    assert!(decision.taken == 2 && decision.policy.as_deref() == Some("default"));
}

#[tokio::test]
async fn password() {
    let server = Server::start(&["--requirepass", "sesame"]).await;
    works(&Quartet::open(format!("redis://:sesame@127.0.0.1:{}", server.port)).unwrap()).await;
    let wrong = Quartet::open(format!("redis://:wrong@127.0.0.1:{}", server.port)).unwrap();
    assert!(matches!(wrong.lock("x").acquire().await, Err(Error::Redis(_))));
}

#[tokio::test]
async fn both_protocols() {
    let server = Server::start(&[]).await;
    for protocol in ["resp2", "resp3"] {
        works(&Quartet::open(format!("{}/?protocol={protocol}", server.url())).unwrap()).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_quartet() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let started = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut other) = started else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    eventually(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    let quartet = Quartet::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let error = quartet.lock("x").acquire().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::NotQuartet { .. }), "{error:?}");
    assert!(error.to_string().contains("give the client the address of a Quartet server"), "{error}");
    assert!(matches!(quartet.limiter("default").check("x", 1).await, Err(Error::NotQuartet { .. })));
    other.kill().unwrap();
    other.wait().unwrap();
}
