//! Servers that ask for a password, speak TLS, or are not Quartet, and both versions of the protocol.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use quartet_client::{Error, Quartet};
use redis::{Client, TlsCertificates};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::relay::{Relay, Target};
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

/// A certificate for 127.0.0.1 as a client reads it, and as a server has it with its key.
fn certificate(name: &str) -> (Vec<u8>, ServerConfig) {
    let folder = std::env::temp_dir().join(format!("quartet-client-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "chain.pem"])
        .current_dir(&folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let chain = fs::read(folder.join("chain.pem")).unwrap();
    let certificate = CertificateDer::from_pem_slice(&chain).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    fs::remove_dir_all(folder).unwrap();
    (chain, ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

#[tokio::test]
async fn tls() {
    let server = Server::start(&[]).await;
    let (chain, identity) = certificate("known");
    let (unknown, _) = certificate("unknown");
    let relay = Relay::start_with_tls(server.target(), identity).await;
    let trusting = |chain| {
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(chain) };
        let client = Client::build_with_tls(format!("rediss://127.0.0.1:{}", relay.port), certificates);
        Quartet::new(client.unwrap())
    };
    works(&trusting(chain)).await;
    let refused = trusting(unknown).lock("x").acquire().await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
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
    // It takes only ports that are chosen before, which others may take first: it has a socket at a path, behind a relay.
    let folder = std::env::temp_dir().join(format!("quartet-client-{}-redis", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let started = tokio::process::Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&path)
        .current_dir(&folder)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut other) = started else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    eventually(async || UnixStream::connect(&path).is_ok()).await;
    let relay = Relay::start(Target::Path(path)).await;
    let quartet = relay.quartet();
    let error = quartet.lock("x").acquire().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::NotQuartet { .. }), "{error:?}");
    assert!(error.to_string().contains("give the client the address of a Quartet server"), "{error}");
    assert!(matches!(quartet.limiter("default").check("x", 1).await, Err(Error::NotQuartet { .. })));
    other.kill().await.unwrap();
    fs::remove_dir_all(folder).unwrap();
}
